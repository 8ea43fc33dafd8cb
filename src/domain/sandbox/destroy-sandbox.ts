import { audit } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { eventActor } from "#domain/event/actors";
import { getSandbox } from "#domain/sandbox/get-sandbox";
import type { SandboxView } from "#domain/sandbox/ports";
import { unwrap } from "#kernel/fault";

/** Asks a sandbox to stop and deletes its files; answers at once, while it is `stopping`. Its row stays readable. */
export async function destroySandbox(ctx: Ctx, id: string): Promise<SandboxView> {
  demand(ctx.actor, "sandbox:write");
  const sandbox = await getSandbox(ctx, id);
  await commit(ctx.db, audit(ctx, "sandbox.destroyed", sandbox.id));
  return unwrap(await ctx.sandboxes.sandbox(sandbox.id).destroy(ctx.actor.teamId, eventActor(ctx.actor)));
}
