import { setTimeout as sleep } from "node:timers/promises";

// biome-ignore lint/suspicious/noExplicitAny: tests look into messages of every shape
type Message = any;
type Options = { headers: Record<string, string> };

/** Node's WebSocket takes headers, as its own documentation says and the types of browsers do not. */
const NodeSocket = WebSocket as unknown as new (url: string, options: Options) => WebSocket;

/** A client of a WebSocket of the started product that keeps what it was sent. */
export class SocketClient {
  readonly messages: Message[] = [];
  readonly socket: WebSocket;
  closed: { code: number } | undefined;

  constructor(url: string, headers: Record<string, string>) {
    this.socket = new NodeSocket(url.replace(/^http/, "ws"), { headers });
    this.socket.addEventListener("message", ({ data }) => this.messages.push(JSON.parse(String(data))));
    this.socket.addEventListener("close", ({ code }) => {
      this.closed = { code };
    });
  }

  /** Opens a socket and sends a first message. */
  static async open(url: string, headers: Record<string, string>, first?: object): Promise<SocketClient> {
    const client = new SocketClient(url, headers);
    await client.until("it is open", ({ socket }) => socket.readyState === WebSocket.OPEN);
    if (first) client.send(first);
    return client;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  /** What was told of one kind, together. */
  text(type: string): string {
    const told = this.messages.filter((one) => one.type === type);
    return told.map(({ data }) => (type === "output" ? Buffer.from(data, "base64").toString() : data)).join("");
  }

  async until(what: string, holds: (client: this) => boolean, withinMs = 20_000): Promise<this> {
    for (const deadline = performance.now() + withinMs; !holds(this); await sleep(10)) {
      if (performance.now() < deadline && (!this.closed || this.socket.readyState !== WebSocket.CLOSED)) continue;
      if (holds(this)) break;
      throw new Error(`not before the end: ${what}\n${JSON.stringify([this.closed, this.messages]).slice(-2000)}`);
    }
    return this;
  }

  says = (type: string, text: string) => this.until(`${type} says ${text}`, () => this.text(type).includes(text));

  /** Waits for the close; answers the last message. */
  async last(): Promise<Message> {
    await this.until("it is closed", ({ closed }) => closed !== undefined);
    return this.messages.at(-1);
  }

  close(): void {
    this.socket.close();
  }
}
