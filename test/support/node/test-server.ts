import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** Answers one request, whose body is all there. When it fails, the connection is cut. */
type Handler = (request: IncomingMessage, body: string, response: ServerResponse) => Promise<void> | void;

/** An HTTP server on 127.0.0.1 that stands for somebody else's in tests. */
export class TestServer {
  readonly #server;

  constructor(handle: Handler) {
    const serve = async (request: IncomingMessage, response: ServerResponse) =>
      handle(request, await text(request), response);
    this.#server = createServer((request, response) => {
      serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    // Long enough that no connection is closed just as its client uses it again.
    this.#server.keepAliveTimeout = 60_000;
  }

  /** Listens, on a free port unless one is named. */
  async listen(port = 0): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", resolve);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Cuts what is under way, and frees the port. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
