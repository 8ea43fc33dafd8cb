import { z } from "zod";
import { getMessage } from "#domain/session/get-message";
import { getQueue } from "#domain/session/get-queue";
import { listMessages } from "#domain/session/list-messages";
import { sendMessage } from "#domain/session/send-message";
import { BUSY_BEHAVIORS, type Message, type MessageContent } from "#domain/session/values";
import { fingerprintOf, idempotencyKeyOf } from "#http/idempotency";
import { operation } from "#http/operation";
import { PageSize } from "#http/query";
import { Fault } from "#kernel/fault";
import type { JsonObject as Json } from "#kernel/json";
import { decodeCursor, encodeCursor } from "#kernel/page";
import { iso } from "#kernel/time";
import { AssistantContent, FilePart, ImagePart, TextPart, ToolContent, UserContent } from "#surfaces/runtime/parts";
import { Id, JsonObject, orAbsent, pageOf, Timestamp } from "#surfaces/runtime/values";

const MESSAGE_BODY_LIMIT_BYTES = 16 * 1024 * 1024;

const common = {
  id: Id,
  sessionId: Id,
  runId: Id.optional(),
  origin: z.enum(["user", "engine", "hook", "tool", "system"]).optional(),
  mode: z.enum(["prompt", "task-notification"]).optional(),
  metadata: JsonObject.optional(),
  createdAt: Timestamp,
};
const MessageResource = z
  .discriminatedUnion("role", [
    z.object({ ...common, role: z.literal("system"), content: z.string() }),
    z.object({ ...common, role: z.literal("user"), content: UserContent }),
    z.object({ ...common, role: z.literal("assistant"), content: AssistantContent }),
    z.object({ ...common, role: z.literal("tool"), content: ToolContent }),
  ])
  .meta({ id: "Message" });

const QueuedRun = z
  .object({ runId: Id, messageId: Id, content: z.string(), createdAt: Timestamp, position: z.int().min(1) })
  .meta({ id: "SessionQueuedRun" });
const Accepted = z
  .object({
    messageId: Id,
    runId: Id,
    status: z.literal("queued"),
    delivery: z.enum(["active_run", "session_queue"]),
    queuedPosition: z.int().min(1).optional(),
    createdAt: Timestamp,
  })
  .meta({ id: "MessageAccepted" });

const saysSomething = (parts: { type: string; text?: string }[]) =>
  parts.some((part) => part.type !== "text" || part.text?.trim() !== "");
const CreateMessageBody = z
  .object({
    content: z.union([
      z.string().trim().min(1),
      z
        .array(z.discriminatedUnion("type", [TextPart, ImagePart, FilePart]))
        .min(1)
        .refine(saysSomething, { message: "needs some text or an attachment" }),
    ]),
    metadata: JsonObject.optional(),
    runningRunBehavior: z.enum(BUSY_BEHAVIORS).optional(),
  })
  .meta({ id: "CreateMessageRequest" });

/** Each role has its own kinds of content; the answer's schema checks that they fit. */
const toResource = (message: Message) =>
  ({
    id: message.id,
    sessionId: message.sessionId,
    runId: orAbsent(message.runId),
    origin: message.origin,
    mode: orAbsent(message.mode),
    role: message.role,
    content: message.content,
    metadata: orAbsent(message.metadata),
    createdAt: iso(message.createdAt),
  }) as z.input<typeof MessageResource>;

function afterOf(cursor: string | undefined): { createdAt: number; id: string } | null {
  if (cursor === undefined) return null;
  const { createdAt, id } = decodeCursor(cursor);
  const at = typeof createdAt === "string" ? Date.parse(createdAt) : Number.NaN;
  if (typeof id === "string" && Number.isFinite(at)) return { createdAt: at, id };
  throw new Fault("invalid_cursor", "the cursor was not issued by this list");
}

const tag = "Messages";
const params = z.object({ sessionId: Id });

export const messageOperations = [
  operation({
    id: "createSessionMessage",
    method: "post",
    path: "/api/v1/sessions/{sessionId}/messages",
    tag,
    summary: "Send a message, which starts a run or waits for its turn",
    permission: "session:write",
    params,
    body: CreateMessageBody,
    bodyLimitBytes: MESSAGE_BODY_LIMIT_BYTES,
    honoursKey: true,
    returns: { status: 202, schema: Accepted },
    faults: ["session_not_found", "queue_full"],
    run: async (ctx, { params, body, raw }) => {
      const key = idempotencyKeyOf(raw.header("idempotency-key"));
      const { queuedPosition, createdAt, ...receipt } = await sendMessage(ctx, {
        sessionId: params.sessionId,
        content: body.content as MessageContent,
        metadata: (body.metadata as Json | undefined) ?? null,
        whenBusy: body.runningRunBehavior ?? "queue",
        idempotency: key === null ? null : { key, fingerprint: await fingerprintOf(body) },
      });
      return {
        ...receipt,
        status: "queued" as const,
        queuedPosition: orAbsent(queuedPosition),
        createdAt: iso(createdAt),
      };
    },
  }),
  operation({
    id: "listSessionMessages",
    method: "get",
    path: "/api/v1/sessions/{sessionId}/messages",
    tag,
    summary: "List messages; every page is in order of time",
    permission: "session:read",
    params,
    query: z.object({
      pageSize: PageSize,
      cursor: z.string().max(500).optional(),
      direction: z.enum(["forward", "backward"]).default("forward"),
    }),
    returns: { status: 200, schema: pageOf(MessageResource, "MessagePage") },
    faults: ["session_not_found", "invalid_cursor"],
    run: async (ctx, { params, query }) => {
      const { pageSize: limit, direction, cursor } = query;
      const page = { limit, direction, after: afterOf(cursor) };
      const { items, more } = await listMessages(ctx, params.sessionId, page);
      const last = direction === "forward" ? items.at(-1) : items[0];
      const next = more && last ? { nextCursor: encodeCursor({ createdAt: iso(last.createdAt), id: last.id }) } : {};
      return { items: items.map(toResource), ...next };
    },
  }),
  operation({
    id: "getSessionMessage",
    method: "get",
    path: "/api/v1/sessions/{sessionId}/messages/{messageId}",
    tag,
    summary: "Show a message",
    permission: "session:read",
    params: z.object({ sessionId: Id, messageId: Id }),
    returns: { status: 200, schema: MessageResource },
    faults: ["session_not_found", "message_not_found"],
    run: async (ctx, { params }) => toResource(await getMessage(ctx, params.sessionId, params.messageId)),
  }),
  operation({
    id: "listSessionQueue",
    method: "get",
    path: "/api/v1/sessions/{sessionId}/queue",
    tag,
    summary: "List the messages that wait for their turn",
    permission: "session:read",
    params,
    returns: { status: 200, schema: z.object({ items: z.array(QueuedRun) }).meta({ id: "SessionQueue" }) },
    faults: ["session_not_found"],
    run: async (ctx, { params }) => ({
      items: (await getQueue(ctx, params.sessionId)).map((item) => ({ ...item, createdAt: iso(item.createdAt) })),
    }),
  }),
];
