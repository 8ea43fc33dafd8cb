import { type Ctx, demand } from "#domain/context";
import type { MessagePage } from "#domain/session/ports";
import type { Message } from "#domain/session/values";
import { withSession } from "#domain/session/with-session";

/** A page of a session's messages in time order, whichever way it is read. */
export async function listMessages(
  ctx: Ctx,
  sessionId: string,
  page: MessagePage,
): Promise<{ items: Message[]; more: boolean }> {
  demand(ctx.actor, "session:read");
  return withSession(ctx, sessionId, (session) => session.listMessages(ctx.actor.teamId, page));
}
