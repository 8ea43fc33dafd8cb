import { type Ctx, demand } from "#domain/context";
import { getSandbox } from "#domain/sandbox/get-sandbox";
import { initiatorOf } from "#domain/sandbox/initiator";
import type { Sandbox } from "#domain/sandbox/repo";
import { sandboxIdOf } from "#domain/sandbox/sandbox-id-of";
import { unwrap } from "#kernel/fault";

/**
 * Asks a sandbox to stop and deletes its files; answers while it is `stopping`. Its row stays readable. Safe to repeat:
 * its object writes the audit entry, once.
 */
export async function destroySandbox(ctx: Ctx, id: string): Promise<Sandbox> {
  demand(ctx.actor, "sandbox:write");
  const sandboxId = await sandboxIdOf(ctx, id);
  const { status } = unwrap(await ctx.sandboxes.sandbox(sandboxId).destroy(ctx.actor.teamId, initiatorOf(ctx)));
  return { ...(await getSandbox(ctx, sandboxId)), status };
}
