import { type Ctx, demand } from "#domain/context";
import type { Message } from "#domain/session/values";
import { withSession } from "#domain/session/with-session";

/** One message; throws `message_not_found`, also for a message of another session. */
export async function getMessage(ctx: Ctx, sessionId: string, messageId: string): Promise<Message> {
  demand(ctx.actor, "session:read");
  return withSession(ctx, sessionId, (session) => session.getMessage(ctx.actor.teamId, messageId));
}
