import { type FeedSource, streamFeed } from "#http/feed-stream";
import { type SseStream, sseComment, sseFrame } from "#http/sse";
import { iso, SECOND } from "#kernel/time";
import { type SessionEvent, SessionFrame } from "#protocol/session-feed";

/** Opens a session's feed for events after `after`; throws `session_not_found` once the session is gone. */
type OpenFeed = (after: number) => Promise<Response>;

/** A session's events as SSE, as the runtime contract has them (section 19). It begins with a comment. */
export async function streamSession(open: OpenFeed, after: number): Promise<SseStream> {
  const source: FeedSource<SessionEvent> = {
    open: (cursor) => open(cursor === undefined ? after : Number(cursor)),
    frames: SessionFrame,
    cursorOf: String,
    show: (events) => events.map(frameOf).join(""),
    greet: () => sseComment("connected"),
    signOfLife: { comment: "keep-alive", everyMs: 15 * SECOND },
    gone: { code: "session_not_found", comment: "the session is gone" },
  };
  return streamFeed(source);
}

const frameOf = ({ seq, type, createdAt, data }: SessionEvent): string =>
  sseFrame({ id: String(seq), event: type, createdAt: iso(createdAt), data });
