import type { z } from "zod";
import { MAX_BEHIND_BYTES, type SignOfLife, SseStream, sseComment } from "#http/sse";
import { Fault, type FaultCode } from "#kernel/fault";
import type { FeedFrame, FeedRequest } from "#protocol/feed";

type Numbered = { seq: number | null };

/** A log of which a reader is shown the events. A cursor is what the reader calls a place in the log, its SSE id. */
export type FeedSource<E extends Numbered, F extends FeedFrame<E> = FeedFrame<E>> = {
  /** Opens the feed behind a cursor, or where a reader without one begins. */
  open(cursor: string | undefined): Promise<Response>;
  frames: z.ZodType<F>;
  cursorOf(seq: number, log: string): string;
  /** The events as SSE frames: those of the frame that the reader has not seen. */
  show(events: E[], cursorOf: (seq: number) => string, frame: F): string;
  /** What a stream begins with, once it is known where it begins. */
  greet?(cursor: string): string;
  signOfLife: SignOfLife;
  /** The refusal of `open` that tells of the end of the log itself, and the comment that a stream then ends with. */
  gone?: { code: FaultCode; comment: string };
};

const MAX_RECONNECTS = 6;
const FIRST_PAUSE_MS = 50;

/**
 * A log's events as SSE. The log is replayed page by page as the reader takes it, then live events follow. When the
 * feed's socket drops, as on a deploy, it is opened again after the last event sent; the stream ends when the log is
 * gone. A reader that leaves closes the socket and nothing else. Throws what `open` throws at first, so that a missing
 * log is told before the stream begins.
 */
export async function streamFeed<E extends Numbered, F extends FeedFrame<E>>(
  source: FeedSource<E, F>,
  cursor?: string,
): Promise<SseStream> {
  const feed = new FeedStream(source, cursor);
  await feed.connect();
  return feed.stream;
}

class FeedStream<E extends Numbered, F extends FeedFrame<E>> {
  readonly stream: SseStream;
  readonly #source: FeedSource<E, F>;
  #cursor: string | undefined;
  #log: string | undefined;
  #after = -1;
  #greeted = false;
  #socket: WebSocket | undefined;
  #failures = 0;
  /** Frames are handled one after the other, because a page waits for the reader; these are the characters that wait. */
  #work: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(source: FeedSource<E, F>, cursor: string | undefined) {
    this.#source = source;
    this.#cursor = cursor;
    this.stream = new SseStream(source.signOfLife);
    this.stream.done.then(() => this.#socket?.close(1000, "the reader is gone"));
  }

  async connect(): Promise<void> {
    const { webSocket: socket, status } = await this.#source.open(this.#cursor);
    if (!socket) throw new Fault("unavailable", `the event feed answered ${status}`);
    this.#socket = socket;
    const onlyOnce = { once: true };
    socket.addEventListener("message", ({ data }) => this.#receive(socket, String(data)));
    socket.addEventListener("close", () => this.#enqueue(() => this.#reconnect(socket)), onlyOnce);
    socket.addEventListener("error", () => this.#enqueue(() => this.#reconnect(socket)), onlyOnce);
    socket.accept();
    if (this.stream.ended) socket.close(1000, "the reader is gone");
  }

  #receive(socket: WebSocket, text: string): void {
    this.#waiting += text.length;
    if (this.#waiting > 2 * MAX_BEHIND_BYTES) this.stream.cut();
    this.#enqueue(async () => {
      this.#waiting -= text.length;
      await this.#take(socket, text);
    });
  }

  #enqueue(step: () => Promise<void>): void {
    this.#work = this.#work.then(step).catch(() => this.stream.end("the feed failed, resume from the last id"));
  }

  async #take(socket: WebSocket, text: string): Promise<void> {
    if (this.stream.ended || socket !== this.#socket) return;
    const frame = this.#source.frames.parse(JSON.parse(text));
    const shown = this.#show(frame);
    this.#failures = 0;
    if (frame.live) return this.stream.push(shown);
    this.stream.send(shown);
    await this.stream.drained();
    if (this.stream.ended || socket !== this.#socket) return;
    socket.send(JSON.stringify({ v: 1, type: "more", after: this.#after } satisfies FeedRequest));
  }

  /** What a frame adds to the stream; moves on to where it ends. */
  #show(frame: F): string {
    const { events, log = "", after, reset } = frame;
    const cursorOf = (seq: number) => this.#source.cursorOf(seq, log);
    const sameLog = log === this.#log && reset === undefined;
    const fresh = sameLog ? events.filter(({ seq }) => seq === null || seq > this.#after) : events;
    const numbers = fresh.flatMap(({ seq }) => seq ?? []);
    const reached = after ?? numbers.at(-1) ?? this.#after;
    const begin = numbers[0] === undefined ? reached : numbers[0] - 1;
    const greeting = this.#greeted ? "" : (this.#source.greet?.(cursorOf(begin)) ?? "");
    const warning = reset === undefined ? "" : sseComment(`${reset}; what is kept follows`);
    const shown = fresh.length === 0 ? "" : this.#source.show(fresh, cursorOf, frame);
    this.#greeted = true;
    this.#log = log;
    this.#after = reached;
    this.#cursor = cursorOf(reached);
    return greeting + warning + shown;
  }

  async #reconnect(socket: WebSocket): Promise<void> {
    if (this.stream.ended || socket !== this.#socket) return;
    this.#socket = undefined;
    while (!this.stream.ended) {
      if (++this.#failures > MAX_RECONNECTS) return this.stream.end("the feed is away, resume from the last id");
      await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS * 2 ** (this.#failures - 1)));
      try {
        return await this.connect();
      } catch (error) {
        const { gone } = this.#source;
        if (gone && error instanceof Fault && error.code === gone.code) return this.stream.end(gone.comment);
      }
    }
  }
}
