import { type Ctx, demand } from "#domain/context";
import { getSandbox } from "#domain/sandbox/get-sandbox";
import { initiatorOf } from "#domain/sandbox/initiator";
import type { Sandbox } from "#domain/sandbox/repo";
import { sandboxIdOf } from "#domain/sandbox/sandbox-id-of";
import { unwrap } from "#kernel/fault";

/** Begins to resume a paused sandbox; answers while it is `resuming`, and `sandbox_not_running` of any other. */
export async function resumeSandbox(ctx: Ctx, id: string): Promise<Sandbox> {
  demand(ctx.actor, "sandbox:write");
  const sandboxId = await sandboxIdOf(ctx, id);
  const { status } = unwrap(await ctx.sandboxes.sandbox(sandboxId).resume(ctx.actor.teamId, initiatorOf(ctx)));
  return { ...(await getSandbox(ctx, sandboxId)), status };
}
