import { type Ctx, demand } from "#domain/context";
import { withRun } from "#domain/session/with-session";

/**
 * Asks for a run's end: a queued one never starts, a running one is stopped. A finished one stays as it is, without
 * an error.
 */
export async function cancelRun(ctx: Ctx, runId: string): Promise<void> {
  demand(ctx.actor, "session:write");
  await withRun(ctx, runId, (session) => session.cancel(ctx.actor.teamId, runId));
}
