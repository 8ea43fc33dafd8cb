import { Pace } from "#http/pace";
import { MAX_MESSAGE_BYTES } from "#protocol/capsule-sockets";

/** Why a socket is closed, in the words of the WebSocket protocol. */
export const CLOSE = { normal: 1000, refused: 1008, tooLarge: 1009, failed: 1011 } as const;

/** Messages a client may send each second for long, and at once. */
const MESSAGES_A_SECOND = 200;
const MOST_AT_ONCE = 1000;
/** Messages of a client that nobody has taken yet. */
const MOST_WAITING_BYTES = 2 * MAX_MESSAGE_BYTES;
/** What may be under way to a client before one waits for it. */
const MOST_UNSENT_BYTES = 1024 * 1024;
const LOOK_EVERY_MS = 20;
/** For a runtime that does not tell what is unsent. */
const BYTES_A_SECOND = 8 * 1024 * 1024;

/**
 * The server's end of a client's WebSocket. Messages wait in a bounded queue until they are taken. One that is too large
 * closes the socket with 1009, a flood of them with 1008 (S5).
 */
export class SocketPeer {
  /** Aborted once the socket is closed, whoever closed it. */
  readonly closed: AbortSignal;
  /** Resolves then. */
  readonly done: Promise<void>;
  readonly #socket: WebSocket;
  readonly #over = new AbortController();
  readonly #received = new Pace(MESSAGES_A_SECOND, MOST_AT_ONCE);
  readonly #sent = new Pace(BYTES_A_SECOND, BYTES_A_SECOND);
  #waiting: string[] = [];
  #waitingBytes = 0;
  #wake: () => void = () => {};

  constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = this.#over.signal;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.closed.addEventListener("abort", () => {
      resolve();
      this.#wake();
    });
    socket.addEventListener("message", ({ data }) => this.#receive(data));
    socket.addEventListener("close", () => this.#finish());
    socket.addEventListener("error", () => this.#finish());
    socket.accept();
  }

  send(message: object): void {
    if (this.closed.aborted) return;
    const text = JSON.stringify(message);
    this.#sent.take(text.length, Date.now());
    this.#socket.send(text);
  }

  /**
   * Waits until the client has taken most of what was sent to it. Where the runtime does not tell, what is sent is held to
   * a pace instead.
   */
  async ready(): Promise<void> {
    while (!this.closed.aborted) {
      const waitMs = this.#waitMs();
      if (waitMs <= 0) return;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  /** The client's next messages; none once the socket is closed, or when nothing came for `withinMs`. */
  async take(withinMs?: number): Promise<string[]> {
    if (this.#waiting.length === 0 && !this.closed.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = withinMs === undefined ? null : setTimeout(resolve, withinMs);
      await promise;
      clearTimeout(timer);
    }
    const taken = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    return taken;
  }

  close(code: number = CLOSE.normal, reason = ""): void {
    if (this.closed.aborted) return;
    this.#socket.close(code, reason);
    this.#finish();
  }

  /** Ends the conversation from outside. */
  end(why: string): void {
    this.close(CLOSE.refused, why);
  }

  #receive(data: string | ArrayBuffer): void {
    if (this.closed.aborted) return;
    this.#received.take(1, Date.now());
    if (isLarger(data, MAX_MESSAGE_BYTES)) this.close(CLOSE.tooLarge, "the message is too large");
    else if (this.#received.waitMs(Date.now()) > 0) this.close(CLOSE.refused, "too many messages");
    else if (typeof data === "string") this.#keep(data);
  }

  #keep(text: string): void {
    this.#waiting.push(text);
    this.#waitingBytes += text.length;
    if (this.#waitingBytes > MOST_WAITING_BYTES) this.close(CLOSE.refused, "too many messages wait");
    this.#wake();
  }

  #waitMs(): number {
    const unsent: number | undefined = this.#socket.bufferedAmount;
    if (unsent === undefined) return this.#sent.waitMs(Date.now());
    return unsent > MOST_UNSENT_BYTES ? LOOK_EVERY_MS : 0;
  }

  #finish(): void {
    this.#over.abort();
  }
}

function isLarger(data: string | ArrayBuffer, limitBytes: number): boolean {
  if (typeof data !== "string") return data.byteLength > limitBytes;
  // A character is at most three bytes.
  if (data.length * 3 <= limitBytes || data.length > limitBytes) return data.length > limitBytes;
  return new TextEncoder().encode(data).byteLength > limitBytes;
}
