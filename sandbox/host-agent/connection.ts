import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from "node:http2";
import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";

const WINDOW_BYTES = 1024 * 1024;
/** A supervisor is as hostile as the code beside it: its headers are bounded, and it may not push. */
const MAX_HEADERS = 32;
const SESSION_MEMORY_MB = 10;

/** `status` is 0 when the connection broke before an answer. */
export type Reply = { status: number; body: Buffer };

/** The agent's side of one supervisor's socket. */
export class Connection {
  readonly #session: ClientHttp2Session;

  constructor(socket: Duplex) {
    this.#session = connect("http://sandbox", {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
      maxHeaderListPairs: MAX_HEADERS,
      maxSessionMemory: SESSION_MEMORY_MB,
    });
    this.#session.on("error", () => {});
  }

  /** Opens a request whose body is still to be written; its errors are the caller's. */
  open(headers: OutgoingHttpHeaders, options: { endStream: boolean }): ClientHttp2Stream {
    return this.#session.request(headers, options);
  }

  /** A whole request and its whole answer, for the agent's own use. */
  async call(method: string, path: string, body?: string | Uint8Array): Promise<Reply> {
    const stream = this.open({ ":method": method, ":path": path }, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    const reply = { status: 0 };
    stream.once("response", (headers) => {
      reply.status = Number(headers[":status"]);
    });
    const bytes = await buffer(stream);
    return { ...reply, body: bytes };
  }

  close(): void {
    this.#session.destroy();
  }
}
