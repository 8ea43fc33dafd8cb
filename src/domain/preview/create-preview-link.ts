import { audit } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { LINK_LIFE, previewOrigin } from "#domain/preview/values";
import { getSandbox } from "#domain/sandbox/get-sandbox";
import { Fault } from "#kernel/fault";

type Input = { sandboxId: string; port: number; lifeMs?: number | undefined; requestUrl: string };

/**
 * A link by which whoever has it sees one port of a sandbox for a while. `unavailable` when the deployment has no domain
 * for it.
 */
export async function createPreviewLink(ctx: Ctx, input: Input): Promise<{ url: string; expiresAt: number }> {
  demand(ctx.actor, "sandbox:write");
  const sandbox = await getSandbox(ctx, input.sandboxId);
  const { port } = input;
  const origin = previewOrigin(port, sandbox.id, ctx.previews.domain, input.requestUrl);
  if (!origin) throw new Fault("unavailable", "PREVIEW_DOMAIN is not set, so ports have no address");
  const expiresAt = ctx.now() + (input.lifeMs ?? LINK_LIFE.usualMs);
  const token = await ctx.previews.sign({ teamId: ctx.actor.teamId, sandboxId: sandbox.id, port }, expiresAt);
  await commit(ctx.db, audit(ctx, "sandbox.port_shared", sandbox.id, { port, expiresAt }));
  return { url: `${origin}/?longshore_token=${token}`, expiresAt };
}
