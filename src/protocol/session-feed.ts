import { z } from "zod";
import { FeedEvent, feedFrame } from "#protocol/feed";

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

/** One row of a session's event log. */
export const SessionEvent = FeedEvent.extend({
  seq: z.int().nonnegative(),
  type: z.enum(SESSION_EVENT_TYPES),
  runId: z.string().nullable(),
});
export type SessionEvent = z.infer<typeof SessionEvent>;

/** Frames of a session's feed, which is opened with the query `team`, `after` and optionally `run`. */
export const SessionFrame = feedFrame(SessionEvent);
