import { setTimeout as sleep } from "node:timers/promises";
import { SocketClient } from "#test/node/socket-client";
import { type Started, startedProduct } from "#test/node/started";

// biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
type Answer = { status: number; body: any };

/** The started product with one capsule that runs. */
export class ProductCapsule {
  readonly product: Started;
  readonly id: string;

  private constructor(product: Started, id: string) {
    this.product = product;
    this.id = id;
  }

  static async start(): Promise<ProductCapsule> {
    const product = await startedProduct();
    const { id, status } = await new ProductCapsule(product, "").another();
    if (status !== "running") throw new Error(`the capsule is ${status}`);
    return new ProductCapsule(product, id);
  }

  /** Makes another capsule, and says what it has become once it is not starting any more. */
  async another(): Promise<{ id: string; status: string }> {
    let { body } = await this.ask("POST", "/v1/capsules", {});
    while (body.status === "starting") {
      await sleep(50);
      ({ body } = await this.ask("GET", `/v1/capsules/${body.id}`));
    }
    return { id: body.id, status: body.status };
  }

  get headers(): Record<string, string> {
    return { "x-api-key": this.product.apiKey };
  }

  path = (rest: string): string => `/v1/capsules/${this.id}/${rest}`;

  async ask(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Answer> {
    const response = await fetch(`${this.product.url}${path}`, {
      method,
      headers: { ...this.headers, ...(body !== undefined && { "content-type": "application/json" }) },
      body: body === undefined ? null : JSON.stringify(body),
      ...(signal && { signal }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
  }

  exec = (body: object, signal?: AbortSignal): Promise<Answer> => this.ask("POST", this.path("exec"), body, signal);

  /** Runs a shell's line; answers what it printed. */
  sh = async (line: string): Promise<string> => (await this.exec({ cmd: "/bin/sh", args: ["-c", line] })).body.stdout;

  open = (rest: string, first?: object): Promise<SocketClient> =>
    SocketClient.open(`${this.product.url}${this.path(rest)}`, this.headers, first);
}
