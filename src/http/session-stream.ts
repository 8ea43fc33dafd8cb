import { SseStream, sseFrame } from "#http/sse";
import { Fault } from "#kernel/fault";
import { iso } from "#kernel/time";
import type { FeedRequest } from "#protocol/feed";
import { type SessionEvent, SessionFrame } from "#protocol/session-feed";

/** Opens a session's feed for events after `after`; throws `session_not_found` once the session is gone. */
type OpenFeed = (after: number) => Promise<Response>;

const MAX_RECONNECTS = 6;
const FIRST_PAUSE_MS = 50;

/**
 * A session's events as SSE. The log is replayed page by page as the reader takes it, then live events follow. When
 * the feed's socket drops, as on a deploy, it is opened again after the last event sent; the stream ends when the
 * session is gone. A reader that leaves closes the socket and nothing else.
 */
export async function streamSession(open: OpenFeed, after: number): Promise<SseStream> {
  const feed = new SessionStream(open, after);
  await feed.connect();
  return feed.stream;
}

class SessionStream {
  readonly stream = new SseStream(() => this.#socket?.close(1000, "the reader is gone"));
  readonly #open: OpenFeed;
  #after: number;
  #socket: WebSocket | undefined;
  #failures = 0;
  /** Frames are handled one after the other, because a page waits for the reader. */
  #work: Promise<void> = Promise.resolve();

  constructor(open: OpenFeed, after: number) {
    this.#open = open;
    this.#after = after;
  }

  /** Throws what `open` throws, so that a missing session is told before the stream begins. */
  async connect(): Promise<void> {
    const { webSocket: socket, status } = await this.#open(this.#after);
    if (!socket) throw new Fault("unavailable", `the event feed answered ${status}`);
    this.#socket = socket;
    const onlyOnce = { once: true };
    socket.addEventListener("message", ({ data }) => this.#enqueue(() => this.#take(socket, data)));
    socket.addEventListener("close", () => this.#enqueue(() => this.#reconnect(socket)), onlyOnce);
    socket.addEventListener("error", () => this.#enqueue(() => this.#reconnect(socket)), onlyOnce);
    socket.accept();
    if (this.stream.ended) socket.close(1000, "the reader is gone");
  }

  #enqueue(step: () => Promise<void>): void {
    this.#work = this.#work.then(step).catch(() => this.stream.end(": the feed failed, resume from the last id"));
  }

  async #take(socket: WebSocket, data: unknown): Promise<void> {
    if (this.stream.ended || socket !== this.#socket) return;
    const { live, events } = SessionFrame.parse(JSON.parse(String(data)));
    const fresh = events.filter(({ seq }) => seq > this.#after);
    const text = fresh.map(frameOf).join("");
    this.#after = fresh.at(-1)?.seq ?? this.#after;
    this.#failures = 0;
    if (live) return this.stream.push(text);
    this.stream.send(text);
    await this.stream.drained();
    if (this.stream.ended || socket !== this.#socket) return;
    socket.send(JSON.stringify({ v: 1, type: "more", after: this.#after } satisfies FeedRequest));
  }

  async #reconnect(socket: WebSocket): Promise<void> {
    if (this.stream.ended || socket !== this.#socket) return;
    this.#socket = undefined;
    while (!this.stream.ended) {
      if (++this.#failures > MAX_RECONNECTS) return this.stream.end(": the feed is away, resume from the last id");
      await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS * 2 ** (this.#failures - 1)));
      try {
        return await this.connect();
      } catch (error) {
        if (error instanceof Fault && error.code === "session_not_found")
          return this.stream.end(": the session is gone");
      }
    }
  }
}

const frameOf = ({ seq, type, createdAt, data }: SessionEvent): string =>
  sseFrame({ id: String(seq), event: type, createdAt: iso(createdAt), data });
