import { type Ctx, demand } from "#domain/context";
import { withRun } from "#domain/session/with-session";

/** Takes a queued run to the head of its queue and interrupts the active one. No effect once it left the queue. */
export async function guideRun(ctx: Ctx, runId: string): Promise<void> {
  demand(ctx.actor, "session:write");
  await withRun(ctx, runId, (session) => session.guide(ctx.actor.teamId, runId));
}
