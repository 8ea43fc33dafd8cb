import { type Ctx, demand } from "#domain/context";
import { sandboxIdOf } from "#domain/sandbox/sandbox-id-of";
import { unwrap } from "#kernel/fault";

/** Counts as activity of a running sandbox; one that does not run is `sandbox_not_running`. */
export async function pingSandbox(ctx: Ctx, id: string): Promise<void> {
  demand(ctx.actor, "sandbox:write");
  unwrap(await ctx.sandboxes.sandbox(await sandboxIdOf(ctx, id)).ping(ctx.actor.teamId));
}
