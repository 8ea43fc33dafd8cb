import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Received, Reply } from "./receiver-values.ts";

type Inbox = { received: Received[]; replies: Reply[] };

/**
 * Receives notifications: the first segment of a request's path names its inbox. Other processes steer it over HTTP:
 * `PUT /control/NAME` with replies in order, the last of which is repeated, and `GET /control/NAME` for what came.
 */
export class Receiver {
  readonly #inboxes = new Map<string, Inbox>();
  readonly #server = createServer((request, response) => {
    this.#handle(request, response).catch((error: unknown) => response.destroy(error as Error));
  });

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    await new Promise<void>((resolve) => receiver.#server.listen(0, "127.0.0.1", resolve));
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const [, name = "", ...rest] = (request.url ?? "").split("/");
    const { method = "", headers } = request;
    if (name === "control") return this.#control(method, rest.join("/"), body, response);
    const inbox = this.#inbox(name);
    inbox.received.push({ method, path: `/${rest.join("/")}`, headers, body, at: Date.now() });
    const reply = (inbox.replies.length > 1 ? inbox.replies.shift() : inbox.replies[0]) ?? {};
    if (reply.hang) return;
    if (reply.drop) return void response.destroy();
    response.writeHead(reply.status ?? 200, reply.headers).end(reply.body ?? "ok");
  }

  #control(method: string, name: string, body: string, response: ServerResponse): void {
    const inbox = this.#inbox(name);
    if (method === "PUT") inbox.replies = JSON.parse(body) as Reply[];
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(inbox.received));
  }

  #inbox(name: string): Inbox {
    const inbox = this.#inboxes.get(name) ?? { received: [], replies: [] };
    this.#inboxes.set(name, inbox);
    return inbox;
  }
}
