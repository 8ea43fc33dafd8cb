import { z } from "zod";
import { FeedEvent, feedFrame } from "#protocol/feed";

/** What somebody does, which succeeds or fails. */
export const ACTION_EVENTS = [
  "capsule.create",
  "capsule.pause",
  "capsule.resume",
  "capsule.destroy",
  "template.snapshot.create",
  "template.snapshot.delete",
] as const;
/** What happens to a host. */
export const HOST_EVENTS = ["host.up", "host.down"] as const;
/** Told to live readers only: never stored, never sent to channels (platform R375). */
export const STATE_CHANGED = "capsule.state.changed";

/** Every event that is stored; channels subscribe to these (platform R344). */
export const STORED_EVENTS = [...ACTION_EVENTS, ...HOST_EVENTS] as const;

/** Who did it: a user, a key, or the system by itself. */
const EventActor = z.object({ type: z.enum(["user", "api_key", "system"]), id: z.string(), name: z.string() });
export type EventActor = z.infer<typeof EventActor>;

const Common = z.object({
  /** Null for what concerns the platform alone. */
  teamId: z.string().nullable(),
  resource: z.object({ id: z.string(), type: z.enum(["sandbox", "snapshot", "host"]) }),
  actor: EventActor,
  metadata: z.record(z.string(), z.string()),
  at: z.int(),
});

/** Why something happened that nobody asked for (platform R372). */
export const EVENT_REASONS = ["ttl_expired", "host_failure", "cleanup_after_create_error", "orphaned"] as const;
export type EventReason = (typeof EVENT_REASONS)[number];

/** An event that is stored. The outcome is told of actions alone, and an error only of those that failed (R367, R368). */
export const TeamEvent = z.union([
  Common.extend({ type: z.enum(ACTION_EVENTS), outcome: z.literal("success") }),
  Common.extend({ type: z.enum(ACTION_EVENTS), outcome: z.literal("error"), error: z.string() }),
  Common.extend({ type: z.enum(HOST_EVENTS) }),
]);
export type TeamEvent = z.infer<typeof TeamEvent>;

export const TransientEvent = Common.extend({
  type: z.literal(STATE_CHANGED),
  metadata: z.object({ from: z.string(), to: z.string() }).catchall(z.string()),
});
export type TransientEvent = z.infer<typeof TransientEvent>;

/** What a reader of a team's stream is shown. */
export const AnyTeamEvent = z.union([TeamEvent, TransientEvent]);
export type AnyTeamEvent = z.infer<typeof AnyTeamEvent>;

/** A sandbox as it is when a frame is made, with what readers are shown of it. */
export const FeedSandbox = z.object({
  id: z.string(),
  teamId: z.string(),
  status: z.string(),
  template: z.string(),
  vcpus: z.int(),
  memoryMb: z.int(),
  diskSizeMb: z.int(),
  timeoutSec: z.int(),
  metadata: z.record(z.string(), z.string()),
  machine: z.record(z.string(), z.string()).nullable().default(null),
  createdAt: z.int(),
  startedAt: z.int().nullable(),
  lastActiveAt: z.int().nullable(),
  updatedAt: z.int(),
});
export type FeedSandbox = z.infer<typeof FeedSandbox>;

/**
 * Frames of a team's feed, which is opened with the query `last-event-id`, where the reader has one. A frame carries the
 * sandboxes that its events are about, each once; one that is gone, or could not be read, is missing.
 */
export const TeamFrame = feedFrame(FeedEvent).extend({ sandboxes: z.array(FeedSandbox).default([]) });
export type TeamFrame = z.infer<typeof TeamFrame>;
