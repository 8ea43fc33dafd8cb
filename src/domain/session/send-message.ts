import { type Ctx, demand } from "#domain/context";
import { callerContent, callerMetadata } from "#domain/session/content";
import type { SendInput, SendReceipt } from "#domain/session/ports";
import { withSession } from "#domain/session/with-session";

export type SendMessageInput = { sessionId: string } & Pick<
  SendInput,
  "content" | "metadata" | "whenBusy" | "idempotency"
>;

/**
 * Sends a user's message. It is durable, with its run and its place in the queue, when this answers. Throws
 * `queue_full`, `too_large`, `invalid`, or `idempotency_mismatch` when the key came with another request.
 */
export async function sendMessage(ctx: Ctx, input: SendMessageInput): Promise<SendReceipt> {
  demand(ctx.actor, "session:write");
  const { sessionId, whenBusy } = input;
  const content = callerContent(input.content);
  const metadata = callerMetadata(input.metadata);
  const { teamId, subject } = ctx.actor;
  // Members of a team pick their keys without knowing of each other's.
  const idempotency = input.idempotency && { ...input.idempotency, key: `${subject} ${input.idempotency.key}` };
  return withSession(ctx, sessionId, (session) =>
    session.send({ teamId, subject, content, metadata, whenBusy, idempotency }),
  );
}
