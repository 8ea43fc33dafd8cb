import { type Ctx, commit, demand } from "#domain/context";
import { deleteSessionRuns, listStaleSessions } from "#domain/session/repo";
import { MINUTE } from "#kernel/time";

/** A live run reports at least every minute; one that was silent for longer is looked after. */
const STALE_AFTER_MS = 2 * MINUTE;
const MAX_SESSIONS = 200;

/** Wakes the objects of sessions whose runs should have moved on. Answers how many. */
export async function sweepStaleRuns(ctx: Ctx): Promise<number> {
  demand(ctx.actor, "session:write");
  const stale = await listStaleSessions(ctx.db, ctx.now() - STALE_AFTER_MS, MAX_SESSIONS);
  const woken = await Promise.allSettled(stale.map((id) => wake(ctx, id)));
  for (const result of woken) {
    if (result.status === "rejected") ctx.log.error("a session could not be woken", { error: result.reason });
  }
  return stale.length;
}

/** Rows of a session that its object never had, or has forgotten, are what a crash left of its deletion. */
async function wake(ctx: Ctx, id: string): Promise<void> {
  if (!(await ctx.sessions.session(id).nudge())) await commit(ctx.db, deleteSessionRuns(ctx.db, id));
}
