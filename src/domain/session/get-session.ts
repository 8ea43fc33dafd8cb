import { type Ctx, demand } from "#domain/context";
import type { Session } from "#domain/session/values";
import { withSession } from "#domain/session/with-session";

export async function getSession(ctx: Ctx, sessionId: string): Promise<Session> {
  demand(ctx.actor, "session:read");
  return withSession(ctx, sessionId, (session) => session.get(ctx.actor.teamId));
}
