import { expect } from "vitest";
import { request } from "#test/worker/harness";

const DEADLINE_MS = 10_000;

// biome-ignore lint/suspicious/noExplicitAny: tests look into messages of every shape
type Message = any;

/** A client of a WebSocket that keeps what it was sent. */
export class TestSocket {
  readonly messages: Message[] = [];
  readonly socket: WebSocket;
  closed: { code: number; reason: string } | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.addEventListener("message", ({ data }) => {
      this.messages.push(JSON.parse(String(data)));
      this.#change();
    });
    socket.addEventListener("close", ({ code, reason }) => {
      this.closed = { code, reason };
      this.#change();
    });
    socket.accept();
  }

  send(message: unknown): void {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** Waits until something holds; fails at a deadline with what came. */
  async until(holds: (socket: this) => boolean, withinMs = DEADLINE_MS): Promise<this> {
    const late = setTimeout(() => this.#changed.reject(new Error(`waited: ${JSON.stringify(this)}`)), withinMs);
    while (!holds(this)) await this.#changed.promise;
    clearTimeout(late);
    return this;
  }

  /** The next message of a type, or the one that is there. */
  async the(type: string): Promise<Message> {
    await this.until(({ messages }) => messages.some((one) => one.type === type));
    return this.messages.find((one) => one.type === type);
  }

  /** Waits for the close; answers everything that was sent. */
  async whole(withinMs?: number): Promise<Message[]> {
    await this.until(({ closed }) => closed !== undefined, withinMs);
    return this.messages;
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** Asks for a WebSocket. */
export const upgrade = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  request("GET", path, { headers: { upgrade: "websocket", ...headers } });

export async function openSocket(path: string, headers: Record<string, string>): Promise<TestSocket> {
  const response = await upgrade(path, headers);
  expect(response.status, response.webSocket ? "" : await response.text()).toBe(101);
  return new TestSocket(response.webSocket!);
}
