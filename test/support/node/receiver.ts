import { createHmac } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Received, Reply } from "./receiver-values.ts";
import { TestServer } from "./test-server.ts";

type Inbox = { received: Received[]; replies: Reply[] };

/**
 * Receives notifications: the first segment of a request's path names its inbox. Other processes steer it over HTTP:
 * `PUT /control/NAME` with replies in order, the last of which is repeated, `GET /control/NAME` for what came, and
 * `POST /control/NAME` with a secret for whether what came is signed with it.
 */
export class Receiver {
  readonly #inboxes = new Map<string, Inbox>();
  readonly #server = new TestServer((request, body, response) => this.#handle(request, body, response));

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    await receiver.#server.listen();
    return receiver;
  }

  get port(): number {
    return this.#server.port;
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  #handle({ method = "", url = "", headers }: IncomingMessage, body: string, response: ServerResponse): void {
    const [, name = "", ...rest] = url.split("/");
    if (name === "control") return void this.#control(method, rest.join("/"), body, response);
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
    const answer = method === "POST" ? inbox.received.map((one) => isSigned(one, body)) : inbox.received;
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  #inbox(name: string): Inbox {
    const inbox = this.#inboxes.get(name) ?? { received: [], replies: [] };
    this.#inboxes.set(name, inbox);
    return inbox;
  }
}

/** Whether both signatures of a webhook are right, as a receiver finds out that only knows the secret. */
function isSigned({ headers, body }: Received, secret: string): boolean {
  const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text);
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : secret;
  const wrenn = hmac(secret, `${headers["x-wrenn-timestamp"]}.${body}`).digest("hex");
  const standard = hmac(key, `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`).digest("base64");
  return headers["x-wrenn-signature"] === `sha256=${wrenn}` && headers["webhook-signature"] === `v1,${standard}`;
}
