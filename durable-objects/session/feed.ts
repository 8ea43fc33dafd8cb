import { resume } from "#domain/session/resume";
import type { EventLog } from "#objects/session/event-log";
import { FEED_PAGE, type FeedFrame, FeedRequest, type SessionEvent } from "#protocol/session-feed";

/** What a socket remembers across hibernation: the last number it was sent, its filter, and whether it is live. */
type Reader = { after: number; runId: string | null; live: boolean };

const FRAME_BYTES = 4_096;

/** Fans the event log out to hibernatable sockets: pages on request while a reader catches up, then live frames. */
export class Feed {
  readonly #ctx: DurableObjectState;
  readonly #log: () => EventLog;
  #waiting: SessionEvent[] = [];
  #scheduled = false;

  constructor(ctx: DurableObjectState, log: () => EventLog) {
    this.#ctx = ctx;
    this.#log = log;
  }

  /** Accepts a reader and sends its first page; `after` is the last number it has seen, -1 for none. */
  accept(after: number, runId: string | null): Response {
    const { 0: client, 1: socket } = new WebSocketPair();
    this.#ctx.acceptWebSocket(socket);
    this.#sendPage(socket, { after, runId, live: false });
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
  push(events: readonly SessionEvent[]): void {
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
  #sendLive(socket: WebSocket, reader: Reader, events: SessionEvent[], frames: Map<string, string>): void {
    const wanted = events.filter(
      (event) => event.seq > reader.after && (reader.runId === null || event.runId === reader.runId),
    );
    const last = wanted.at(-1);
    if (!last) return;
    const key = `${wanted.length} ${wanted[0]?.seq} ${reader.runId}`;
    const frame = frames.get(key) ?? encode({ v: 1, live: true, events: wanted });
    frames.set(key, frame);
    deliver(socket, { ...reader, after: last.seq }, frame);
  }

  #sendMissed(socket: WebSocket, reader: Reader): void {
    let { after } = reader;
    for (let more = true; more; ) {
      const page = this.#log().page(after + 1, reader.runId, FEED_PAGE);
      const last = page.events.at(-1);
      if (!last) return;
      after = last.seq;
      deliver(socket, { ...reader, after }, encode({ v: 1, live: true, events: page.events }));
      more = page.more;
    }
  }

  #sendPage(socket: WebSocket, reader: Reader): void {
    const log = this.#log();
    const next = resume(reader.after, log.bounds());
    const { events, more } =
      next.type === "live" ? { events: [], more: false } : log.page(next.from, reader.runId, FEED_PAGE);
    const after = events.at(-1)?.seq ?? reader.after;
    deliver(socket, { ...reader, after, live: !more }, encode({ v: 1, live: !more, events }));
  }
}

const encode = (frame: FeedFrame): string => JSON.stringify(frame);

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
