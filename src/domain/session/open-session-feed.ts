import { type Ctx, demand } from "#domain/context";
import { getSessionRow, sessionNotFound } from "#domain/session/repo";

/** The session's event feed, see `protocol/session-feed`: a response that carries a WebSocket. */
export async function openSessionFeed(
  ctx: Ctx,
  sessionId: string,
  { after, runId }: { after: number; runId: string | null },
): Promise<Response> {
  demand(ctx.actor, "session:read");
  const handle = ctx.sessions.session(sessionId);
  const query = { teamId: ctx.actor.teamId, after, runId };
  const first = await handle.openFeed(query);
  if (first.status !== 404) return first;
  await handle.adopt(await getSessionRow(ctx, sessionId));
  const second = await handle.openFeed(query);
  if (second.status === 404) throw sessionNotFound(sessionId);
  return second;
}
