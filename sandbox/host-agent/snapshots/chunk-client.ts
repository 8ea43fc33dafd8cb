import { setTimeout as sleep } from "node:timers/promises";
import { SECOND } from "#kernel/time";
import { CHUNKS_PATH, MAX_STORED_BYTES, MissingAnswer } from "#protocol/chunks";
import { Failure } from "../failure.ts";

const ATTEMPTS = 6;
const FIRST_RETRY_MS = 250;
const TIMEOUT_MS = 60 * SECOND;

/** The calls of one transfer of chunks. Those that got no answer are made again; a refusal is a `Failure`. */
export class ChunkClient {
  readonly #url: string;
  readonly #token: string;
  readonly #signal: AbortSignal;

  constructor(options: { url: string; token: string; signal: AbortSignal }) {
    this.#url = options.url;
    this.#token = options.token;
    this.#signal = options.signal;
  }

  async missing(hashes: readonly string[]): Promise<Set<string>> {
    const body = JSON.stringify({ hashes });
    const answer = await this.#call("POST", "missing", { type: "application/json", body });
    return new Set(MissingAnswer.parse(JSON.parse(answer.toString("utf8"))).missing);
  }

  async put(hash: string, gzip: Uint8Array): Promise<void> {
    await this.#call("PUT", hash, { type: "application/octet-stream", body: gzip });
  }

  /** The chunk as it is stored. */
  get(hash: string): Promise<Buffer> {
    return this.#call("GET", hash);
  }

  async #call(method: string, name: string, content?: { type: string; body: string | Uint8Array }): Promise<Buffer> {
    for (let attempt = 1; ; attempt++) {
      this.#signal.throwIfAborted();
      const answer = await this.#once(method, name, content).catch((error: unknown) => {
        this.#signal.throwIfAborted();
        return error instanceof Error ? error : new Error("the control plane did not answer");
      });
      if (Buffer.isBuffer(answer)) return answer;
      if (answer instanceof Failure || attempt === ATTEMPTS) {
        throw answer instanceof Failure
          ? answer
          : new Failure("transfer_failed", `no chunks are passed: ${answer.message}`);
      }
      await sleep(FIRST_RETRY_MS * 2 ** (attempt - 1), undefined, { signal: this.#signal });
    }
  }

  async #once(method: string, name: string, content?: { type: string; body: string | Uint8Array }): Promise<Buffer> {
    const response = await fetch(`${this.#url}${CHUNKS_PATH}/${name}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, ...(content && { "content-type": content.type }) },
      body: (content?.body ?? null) as NonNullable<RequestInit["body"]> | null,
      redirect: "error",
      signal: AbortSignal.any([this.#signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    if (response.ok) return readBounded(response);
    const text = (await response.text()).slice(0, 500);
    const isPassing = response.status >= 500 || response.status === 429 || response.status === 408;
    const message = `the control plane answered ${response.status} ${text}`;
    throw isPassing ? new Error(message) : new Failure("transfer_failed", message);
  }
}

/** Whoever answers cannot make this machine keep more than a chunk. */
async function readBounded(response: Response): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body ?? []) {
    size += piece.byteLength;
    if (size > MAX_STORED_BYTES) throw new Failure("transfer_failed", "the answer is larger than a chunk");
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
