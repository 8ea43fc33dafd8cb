import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { CHUNKS_PATH, type Manifest } from "#protocol/chunks";
import { FakeControlPlane } from "#test/node/control-plane";

/** A control plane that also keeps chunks, in memory, for a token that is "transfer". */
export class ChunkProxy {
  readonly control: FakeControlPlane;
  readonly chunks = new Map<string, Buffer>();
  /** Chunk requests that came, as method and name. */
  readonly seen: string[] = [];
  /** Decides about a chunk request before it is answered: a status refuses it, `null` cuts the connection. */
  meddle: (call: string) => number | null | undefined | Promise<number | null | undefined> = () => undefined;
  readonly #close: () => void;

  private constructor(control: FakeControlPlane, close: () => void) {
    this.control = control;
    this.#close = close;
  }

  static async start(): Promise<ChunkProxy> {
    const inner = await FakeControlPlane.start();
    const server = createServer((request, response) => void proxy.#answer(request, response, inner.url));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const outer = new FakeControlPlane(url, inner.privateKey, async () => {
      server.closeAllConnections();
      server.close();
      await inner.close();
    });
    const proxy = new ChunkProxy(outer, () => void outer.close());
    return proxy;
  }

  manifest(root: string): Manifest {
    return JSON.parse(gunzipSync(this.chunks.get(root) as Buffer).toString("utf8")) as Manifest;
  }

  /** The whole archive of a manifest. */
  archive(root: string): Buffer {
    return Buffer.concat(this.manifest(root).chunks.map(({ hash }) => gunzipSync(this.chunks.get(hash) as Buffer)));
  }

  get storedBytes(): number {
    return [...this.chunks.values()].reduce((sum, { length }) => sum + length, 0);
  }

  close(): void {
    this.#close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse, inner: string): Promise<void> {
    const body = await buffer(request);
    const { url = "", method = "GET" } = request;
    if (!url.startsWith(`${CHUNKS_PATH}/`)) return forward(inner, request, body, response);
    const name = url.slice(CHUNKS_PATH.length + 1);
    this.seen.push(`${method} ${name}`);
    const verdict = await this.meddle(`${method} ${name}`);
    if (verdict === null) return void request.socket.destroy();
    const status = request.headers.authorization === "Bearer transfer" ? verdict : 401;
    if (status !== undefined) return void response.writeHead(status).end("{}");
    if (method === "POST") {
      const { hashes } = JSON.parse(body.toString("utf8")) as { hashes: string[] };
      const missing = hashes.filter((hash) => !this.chunks.has(hash));
      return void response.writeHead(200).end(JSON.stringify({ missing }));
    }
    if (method === "PUT") {
      this.chunks.set(name, body);
      return void response.writeHead(204).end();
    }
    const chunk = this.chunks.get(name);
    response.writeHead(chunk ? 200 : 404).end(chunk ?? "{}");
  }
}

async function forward(inner: string, request: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
  const { host: _, connection: __, ...headers } = request.headers as Record<string, string>;
  const hasBody = request.method !== "GET" && body.length > 0;
  const answer = await fetch(`${inner}${request.url}`, {
    method: request.method ?? "GET",
    headers,
    body: hasBody ? new Uint8Array(body) : null,
  });
  response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
}
