import { z } from "zod";
import type { Ctx } from "#domain/context";
import { openPlatformFeed, openTeamFeed } from "#domain/event/open-feed";
import { streamId } from "#domain/event/resume-stream";
import { type FeedSource, streamFeed } from "#http/feed-stream";
import { guardedStream } from "#http/guarded-stream";
import { operation, RawAnswer } from "#http/operation";
import { sseFrame } from "#http/sse";
import { iso, SECOND } from "#kernel/time";
import type { FeedEvent } from "#protocol/feed";
import { AnyTeamEvent, type FeedSandbox, STATE_CHANGED, STORED_EVENTS, TeamFrame } from "#protocol/team-feed";
import { Capsule, toCapsule } from "#surfaces/platform/capsule-shapes";

const CONNECTED = "connected";

const SseEvent = z
  .object({
    event: z.enum([CONNECTED, ...STORED_EVENTS, STATE_CHANGED]),
    outcome: z.enum(["success", "error"]).optional(),
    resource: z.object({ id: z.string(), type: z.string() }).optional(),
    actor: z.object({ type: z.enum(["user", "api_key", "system"]), id: z.string(), name: z.string() }).optional(),
    metadata: z.record(z.string(), z.string()).optional(),
    error: z.string().optional(),
    sandbox: Capsule.nullable().optional(),
    timestamp: z.iso.datetime(),
  })
  .meta({ id: "SSEEvent" });

/** An event in this contract's words; only those of capsules show one, as it is now (R369). */
function toSseEvent(event: AnyTeamEvent, sandboxes: readonly FeedSandbox[]): z.input<typeof SseEvent> {
  const { type, teamId, resource, actor, metadata, at } = event;
  const sandbox = sandboxes.find((one) => one.id === resource.id && one.teamId === teamId);
  return {
    event: type,
    ...("outcome" in event && { outcome: event.outcome }),
    resource,
    actor,
    metadata,
    ...("error" in event && { error: event.error }),
    ...(resource.type === "sandbox" && { sandbox: sandbox ? asCapsule(sandbox) : null }),
    timestamp: iso(at),
  };
}

const asCapsule = (sandbox: FeedSandbox) =>
  toCapsule({ ...sandbox, status: Capsule.shape.status.parse(sandbox.status) });

const frameOf = (id: string | undefined, event: z.input<typeof SseEvent>): string => {
  const shown = SseEvent.parse(event);
  return sseFrame({ ...(id !== undefined && { id }), event: shown.event, data: JSON.stringify(shown) });
};

type Source = FeedSource<FeedEvent, TeamFrame>;

/** What a stream is made of: the events of a feed, with ids that name the feed's log. */
const sourceOf = (ctx: Ctx, open: Source["open"]): Source => ({
  open,
  frames: TeamFrame,
  cursorOf: (seq, log) => streamId(log, seq),
  show(events, cursorOf, { sandboxes }) {
    const shown = events.map(({ seq, data }) => {
      const event = AnyTeamEvent.parse(JSON.parse(data));
      return frameOf(seq === null ? undefined : cursorOf(seq), toSseEvent(event, sandboxes));
    });
    return shown.join("");
  },
  // Its id is where the stream begins, so that a reader that is cut before the first event misses none either.
  greet: (cursor) => frameOf(cursor, { event: CONNECTED, timestamp: iso(ctx.now()) }),
  signOfLife: { comment: "keepalive", everyMs: 30 * SECOND },
});

const DESCRIPTION =
  "Server-sent events, first `connected`. Without a `Last-Event-ID` the stream begins now; with one it goes on behind " +
  "that event, and an id that is not known any more gets everything that is kept, after a comment. State changes of " +
  "capsules are told to live readers only and have no id.";
const returns = { status: 200, schema: RawAnswer, media: "text/event-stream", shows: SseEvent } as const;

export const eventOperations = [
  operation({
    id: "streamEvents",
    method: "get",
    path: "/v1/events/stream",
    tag: "events",
    summary: "Follow the team's events",
    description: DESCRIPTION,
    permission: "event:read",
    accepts: ["api_key", "session"],
    returns,
    faults: ["unauthenticated"],
    run: (ctx, { raw }) => {
      const source = sourceOf(ctx, (cursor) => openTeamFeed(ctx, cursor));
      return guardedStream(ctx, "event:read", () => streamFeed(source, raw.header("last-event-id")));
    },
  }),
  operation({
    id: "adminStreamEvents",
    method: "get",
    path: "/v1/admin/events/stream",
    tag: "admin",
    summary: "Follow the events of all teams",
    description: DESCRIPTION,
    permission: "platform:admin",
    returns,
    faults: ["unauthenticated", "forbidden"],
    run: (ctx, { raw }) => {
      const source = sourceOf(ctx, (cursor) => openPlatformFeed(ctx, cursor));
      return guardedStream(ctx, "platform:admin", () => streamFeed(source, raw.header("last-event-id")));
    },
  }),
];
