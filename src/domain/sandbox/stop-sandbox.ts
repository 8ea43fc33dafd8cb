import { type Ctx, demand } from "#domain/context";
import { initiatorOf } from "#domain/sandbox/initiator";
import type { SandboxView } from "#domain/sandbox/ports";
import { sandboxIdOf } from "#domain/sandbox/sandbox-id-of";
import { unwrap } from "#kernel/fault";

/** Asks a sandbox to stop and keeps its files; answers while it is `stopping`. */
export async function stopSandbox(ctx: Ctx, id: string): Promise<SandboxView> {
  demand(ctx.actor, "sandbox:write");
  const handle = ctx.sandboxes.sandbox(await sandboxIdOf(ctx, id));
  return unwrap(await handle.stop(ctx.actor.teamId, initiatorOf(ctx)));
}
