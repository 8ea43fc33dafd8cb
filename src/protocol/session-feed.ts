import { z } from "zod";

/** Names of the events of a session (runtime contract, section 19). */
export const SESSION_EVENT_TYPES = [
  "run.queued",
  "queue.updated",
  "run.started",
  "message.delta",
  "message.completed",
  "tool.started",
  "tool.completed",
  "tool.failed",
  "agent.switch.requested",
  "agent.switched",
  "engine.log",
  "run.completed",
  "run.failed",
  "run.cancelled",
] as const;
export type SessionEventType = (typeof SESSION_EVENT_TYPES)[number];

/** One row of a session's event log. `data` is the payload as JSON text: it is stored, sent and shown unparsed. */
export const SessionEvent = z.object({
  seq: z.int().nonnegative(),
  type: z.enum(SESSION_EVENT_TYPES),
  runId: z.string().nullable(),
  createdAt: z.int(),
  data: z.string(),
});
export type SessionEvent = z.infer<typeof SessionEvent>;

/**
 * Version 1 of the socket between a stream's holder (a Worker) and the session's object.
 *
 * The holder opens it with the query `team`, `after` and optionally `run`, and gets pages of the log. While `live` is
 * false it asks for the next page with `more` once its reader has taken the last one, so a slow reader costs no
 * memory; from the first `live` frame on, new events are pushed as they happen.
 */
export const FeedFrame = z.object({ v: z.literal(1), live: z.boolean(), events: z.array(SessionEvent) });
export type FeedFrame = z.infer<typeof FeedFrame>;

export const FeedRequest = z.object({ v: z.literal(1), type: z.literal("more"), after: z.int().min(-1) });
export type FeedRequest = z.infer<typeof FeedRequest>;

/** Events in one page of a replay. */
export const FEED_PAGE = 500;
