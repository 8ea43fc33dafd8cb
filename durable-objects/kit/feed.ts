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

/** New events for live readers, what is told besides them, and the frames that were encoded already. */
type Live<E> = { events: readonly E[]; aside: object | undefined; frames: Map<string, string> };
/** What frames carry besides events and is read elsewhere; undefined at once where there is nothing to read. */
type Aside<E> = (events: readonly E[]) => Promise<object> | undefined;

const FRAME_BYTES = 4_096;

/** Fans a log out to hibernatable sockets: pages on request while a reader catches up, then live frames. */
export class Feed<E extends Numbered> {
  readonly #ctx: DurableObjectState;
  readonly #log: () => FeedLog<E>;
  readonly #aside: Aside<E>;
  #waiting: E[] = [];
  #scheduled = false;

  /** `aside` reads what frames carry besides their events, once for all readers of a frame; it must not fail. */
  constructor(ctx: DurableObjectState, log: () => FeedLog<E>, aside: Aside<E> = () => undefined) {
    this.#ctx = ctx;
    this.#log = log;
    this.#aside = aside;
  }

  /**
   * Accepts a reader and sends its first page. `after` is the last number it has seen, below the first for none;
   * `reset` says why it does not go on where it stood.
   */
  async accept(start: { after: number; filter?: string | null; reset?: string }): Promise<Response> {
    const { after, filter = null, reset } = start;
    const { 0: client, 1: socket } = new WebSocketPair();
    this.#ctx.acceptWebSocket(socket);
    await this.#sendPage(socket, { after, filter, live: false }, reset);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** A frame from a reader: it asks for the next page. Anything else closes the socket. */
  async receive(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    const request = FeedRequest.safeParse(parse(data));
    const reader = readerOf(socket);
    if (!request.success || !reader) close(socket, 1008, "not a feed request");
    else if (!reader.live) await this.#sendPage(socket, { ...reader, after: request.data.after });
  }

  /** Sends new events to live readers, in one frame all of a tick and what comes while an aside is read. */
  push(events: readonly E[]): void {
    this.#waiting.push(...events);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setTimeout(() => this.#flush(), 0);
  }

  /** After a restart: sends live readers what was stored and not sent. Nothing may be pushed meanwhile. */
  async catchUp(): Promise<void> {
    const filters = new Set(this.#liveReaders().map(([, { filter }]) => filter));
    for (const filter of filters) await this.#tellMissed(filter);
  }

  closeAll(code: number, reason: string): void {
    for (const socket of this.#ctx.getWebSockets()) close(socket, code, reason);
  }

  /** One frame after the other, so that numbers never go back. */
  async #flush(): Promise<void> {
    try {
      while (this.#waiting.length > 0) await this.#fanOut(this.#waiting.splice(0));
    } finally {
      this.#scheduled = false;
    }
  }

  /** Begins where the reader stands that is furthest behind; the others are sent what they lack of each page. */
  async #tellMissed(filter: string | null): Promise<void> {
    let after = Math.min(...this.#liveReaders(filter).map(([, reader]) => reader.after));
    for (let more = true; more; ) {
      const page = this.#log().page(after + 1, filter, FEED_PAGE);
      await this.#fanOut(page.events, filter);
      after = lastOf(page.events) ?? after;
      more = page.more;
    }
  }

  /** Sends events to all live readers, or to those with one filter. */
  async #fanOut(events: readonly E[], filter?: string | null): Promise<void> {
    if (events.length === 0 || this.#liveReaders(filter).length === 0) return;
    const reading = this.#aside(events);
    const aside = reading && (await reading);
    const frames = new Map<string, string>();
    for (const [socket, reader] of this.#liveReaders(filter)) this.#sendLive(socket, reader, { events, aside, frames });
  }

  #liveReaders(filter?: string | null): [WebSocket, Reader][] {
    return this.#ctx.getWebSockets().flatMap((socket): [WebSocket, Reader][] => {
      const reader = readerOf(socket);
      return reader?.live && (filter === undefined || filter === reader.filter) ? [[socket, reader]] : [];
    });
  }

  /** Readers that want the same events share one encoded frame. */
  #sendLive(socket: WebSocket, reader: Reader, { events, aside, frames }: Live<E>): void {
    const { filter } = reader;
    const wanted = events.filter(
      (event) =>
        (event.seq === null || event.seq > reader.after) && (filter === null || this.#log().matches(event, filter)),
    );
    if (wanted.length === 0) return;
    const after = lastOf(wanted) ?? reader.after;
    const key = `${wanted.length} ${after} ${filter}`;
    const frame = frames.get(key) ?? this.#encode({ live: true, events: wanted, after }, aside);
    frames.set(key, frame);
    deliver(socket, { ...reader, after }, frame);
  }

  async #sendPage(socket: WebSocket, reader: Reader, why?: string): Promise<void> {
    const log = this.#log();
    const bounds = log.bounds();
    const next = resume(reader.after, bounds);
    const { events, more } =
      next.type === "live" ? { events: [], more: false } : log.page(next.from, reader.filter, FEED_PAGE);
    const after = lastOf(events) ?? reader.after;
    const reset = why ?? (next.type === "reset" ? "older events are gone" : undefined);
    const reading = this.#aside(events);
    const aside = reading && (await reading);
    // What came meanwhile was pushed past this reader, so it asks once more.
    const live = !more && log.bounds()?.newest === bounds?.newest;
    deliver(socket, { ...reader, after, live }, this.#encode({ live, events, after, reset }, aside));
  }

  #encode({ live, events, after, reset }: Omit<FeedFrame<E>, "v" | "log">, aside: object = {}): string {
    const { name } = this.#log();
    const frame: FeedFrame<E> = { ...aside, v: 1, live, events, after, log: name, reset };
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
