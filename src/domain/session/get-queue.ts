import { type Ctx, demand } from "#domain/context";
import type { QueueItem } from "#domain/session/values";
import { withSession } from "#domain/session/with-session";

/** Messages that wait for their turn, the next one first. */
export async function getQueue(ctx: Ctx, sessionId: string): Promise<QueueItem[]> {
  demand(ctx.actor, "session:read");
  return withSession(ctx, sessionId, (session) => session.queue(ctx.actor.teamId));
}
