import { type Ctx, commit } from "#domain/context";
import { deleteEventsBefore } from "#domain/event/repo";
import { DAY } from "#kernel/time";

/** How long an event is kept, in the directory and in a team's log, and how many of them a log keeps. */
export const KEEP_EVENTS_MS = 7 * DAY;
export const KEEP_EVENTS = 10_000;

/** Forgets rows that the logs have taken up long ago. */
export async function purgeEvents(ctx: Pick<Ctx, "db" | "now">): Promise<void> {
  await commit(ctx.db, deleteEventsBefore(ctx.db, ctx.now() - KEEP_EVENTS_MS));
}
