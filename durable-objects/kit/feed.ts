import { type Bounds, resume } from "#domain/feed/resume";
import { FEED_PAGE, type FeedFrame, FeedRequest } from "#protocol/feed";

/** An event with its number; null for one that is told and not stored. */
type Numbered = { seq: number | null };

/** The log that a feed reads. A filter is what some readers want alone, such as one run; its meaning is the log's. */
export interface FeedLog<E extends Numbered> {
  /** Name that numbers are told with; undefined for a log whose readers know it otherwise. */
  readonly name?: string;
  bounds(): Bounds;
  /** Events from number `from` on, in order; `more` tells that the page does not reach the end of the log. */
  page(from: number, filter: string | null, limit: number): { events: E[]; more: boolean };
  matches(event: E, filter: string): boolean;
}

/** What a socket remembers across hibernation: the last number it was sent, its filter, and whether it is live. */
type Reader = { after: number; filter: string | null; live: boolean };

const FRAME_BYTES = 4_096;

/** Fans a log out to hibernatable sockets: pages on request while a reader catches up, then live frames. */
export class Feed<E extends Numbered> {
  readonly #ctx: DurableObjectState;
  readonly #log: () => FeedLog<E>;
  #waiting: E[] = [];
  #scheduled = false;

  constructor(ctx: DurableObjectState, log: () => FeedLog<E>) {
    this.#ctx = ctx;
    this.#log = log;
  }

  /**
   * Accepts a reader and sends its first page. `after` is the last number it has seen, below the first for none;
   * `reset` says why it does not go on where it stood.
   */
  accept({ after, filter = null, reset }: { after: number; filter?: string | null; reset?: string }): Response {
    const { 0: client, 1: socket } = new WebSocketPair();
    this.#ctx.acceptWebSocket(socket);
    this.#sendPage(socket, { after, filter, live: false }, reset);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** A frame from a reader: it asks for the next page. Anything else closes the socket. */
  receive(socket: WebSocket, data: string | ArrayBuffer): void {
    const request = FeedRequest.safeParse(parse(data));
    const reader = readerOf(socket);
    if (!request.success || !reader) close(socket, 1008, "not a feed request");
    else if (!reader.live) this.#sendPage(socket, { ...reader, after: request.data.after });
  }

  /** Sends new events to live readers, all of a tick in one frame. */
  push(events: readonly E[]): void {
    this.#waiting.push(...events);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setTimeout(() => this.#flush(), 0);
  }

  /** After a restart: sends live readers what was stored and not sent. */
  catchUp(): void {
    for (const socket of this.#ctx.getWebSockets()) {
      const reader = readerOf(socket);
      if (reader?.live) this.#sendMissed(socket, reader);
    }
  }

  closeAll(code: number, reason: string): void {
    for (const socket of this.#ctx.getWebSockets()) close(socket, code, reason);
  }

  #flush(): void {
    this.#scheduled = false;
    const events = this.#waiting;
    this.#waiting = [];
    if (events.length === 0) return;
    const frames = new Map<string, string>();
    for (const socket of this.#ctx.getWebSockets()) {
      const reader = readerOf(socket);
      if (reader?.live) this.#sendLive(socket, reader, events, frames);
    }
  }

  /** Readers that want the same events share one encoded frame. */
  #sendLive(socket: WebSocket, reader: Reader, events: E[], frames: Map<string, string>): void {
    const { filter } = reader;
    const wanted = events.filter(
      (event) =>
        (event.seq === null || event.seq > reader.after) && (filter === null || this.#log().matches(event, filter)),
    );
    if (wanted.length === 0) return;
    const after = lastOf(wanted) ?? reader.after;
    const key = `${wanted.length} ${after} ${filter}`;
    const frame = frames.get(key) ?? this.#encode({ live: true, events: wanted, after });
    frames.set(key, frame);
    deliver(socket, { ...reader, after }, frame);
  }

  #sendMissed(socket: WebSocket, reader: Reader): void {
    let { after } = reader;
    for (let more = true; more; ) {
      const page = this.#log().page(after + 1, reader.filter, FEED_PAGE);
      const last = lastOf(page.events);
      if (last === undefined) return;
      after = last;
      deliver(socket, { ...reader, after }, this.#encode({ live: true, events: page.events, after }));
      more = page.more;
    }
  }

  #sendPage(socket: WebSocket, reader: Reader, why?: string): void {
    const log = this.#log();
    const next = resume(reader.after, log.bounds());
    const { events, more } =
      next.type === "live" ? { events: [], more: false } : log.page(next.from, reader.filter, FEED_PAGE);
    const after = lastOf(events) ?? reader.after;
    const reset = why ?? (next.type === "reset" ? "older events are gone" : undefined);
    deliver(socket, { ...reader, after, live: !more }, this.#encode({ live: !more, events, after, reset }));
  }

  #encode({ live, events, after, reset }: Omit<FeedFrame<E>, "v" | "log">): string {
    const { name } = this.#log();
    const frame: FeedFrame<E> = { v: 1, live, events, after, log: name, reset };
    return JSON.stringify(frame);
  }
}

const lastOf = (events: readonly Numbered[]): number | undefined =>
  events.findLast(({ seq }) => seq !== null)?.seq ?? undefined;

function parse(data: string | ArrayBuffer): unknown {
  if (typeof data !== "string" || data.length > FRAME_BYTES) return undefined;
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

const readerOf = (socket: WebSocket): Reader | null => socket.deserializeAttachment() as Reader | null;

function deliver(socket: WebSocket, reader: Reader, frame: string): void {
  try {
    socket.send(frame);
    socket.serializeAttachment(reader);
  } catch {
    close(socket, 1011, "the reader is gone");
  }
}

/** A socket that is closed already refuses to be closed. */
function close(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {}
}
