import { setTimeout as sleep } from "node:timers/promises";
import type { Started } from "#test/node/started";

const RUNS_WITHIN_MS = 60_000;

type Body = NonNullable<RequestInit["body"]>;

/** A running capsule of a started product, and its file operations. */
export class TestCapsule {
  readonly id: string;
  readonly #product: Started;

  private constructor(product: Started, id: string) {
    this.#product = product;
    this.id = id;
  }

  static async create(product: Started): Promise<TestCapsule> {
    const { id } = (await (await send(product, "POST", "/v1/capsules", {})).json()) as { id: string };
    const deadline = Date.now() + RUNS_WITHIN_MS;
    for (let status = ""; status !== "running"; ) {
      if (Date.now() > deadline) throw new Error(`the capsule is still ${status}`);
      if (status !== "") await sleep(50);
      ({ status } = (await (await send(product, "GET", `/v1/capsules/${id}`)).json()) as { status: string });
    }
    return new TestCapsule(product, id);
  }

  /** A file operation with a JSON body, or a form. */
  files(operation: string, body: object): Promise<Response> {
    return send(this.#product, "POST", `/v1/capsules/${this.id}/files/${operation}`, body);
  }

  /** Uploads by a form with the path first. */
  upload(path: string, content: string | Uint8Array<ArrayBuffer>, operation = "write"): Promise<Response> {
    const form = new FormData();
    form.set("path", path);
    form.set("file", new Blob([content]), "upload.bin");
    return this.files(operation, form);
  }

  /** Sends raw bytes as a form. */
  stream(operation: string, body: Body, contentType: string, signal?: AbortSignal): Promise<Response> {
    return fetch(`${this.#product.url}/v1/capsules/${this.id}/files/${operation}`, {
      method: "POST",
      headers: { "x-api-key": this.#product.apiKey, "content-type": contentType },
      body,
      duplex: "half",
      ...(signal && { signal }),
    } as RequestInit);
  }

  /** Status and error code of an answer; the code is empty when it succeeded. */
  async outcome(operation: string, body: object): Promise<[status: number, code: string]> {
    return outcomeOf(await this.files(operation, body));
  }

  /** Runs a shell command in it, and answers its standard output. */
  async shell(line: string): Promise<string> {
    const body = { cmd: "sh", args: ["-c", line] };
    const response = await send(this.#product, "POST", `/v1/capsules/${this.id}/exec`, body);
    return ((await response.json()) as { stdout: string }).stdout;
  }
}

export async function outcomeOf(response: Response): Promise<[status: number, code: string]> {
  const text = await response.text();
  return [response.status, response.ok ? "" : (JSON.parse(text) as { error: { code: string } }).error.code];
}

function send({ url, apiKey }: Started, method: string, path: string, body?: object): Promise<Response> {
  const json = body !== undefined && !(body instanceof FormData);
  return fetch(url + path, {
    method,
    headers: { "x-api-key": apiKey, ...(json && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: json ? JSON.stringify(body) : (body as FormData) }),
  });
}
