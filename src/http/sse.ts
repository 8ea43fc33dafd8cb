export type SseEvent = { id?: string; event: string; data: string; createdAt?: string };

/** How often a stream gives a sign of life, and which comment that is. */
export type SignOfLife = { comment: string; everyMs: number };

/** Bytes a reader may be behind on live events before it is cut and told to come back. */
export const MAX_BEHIND_BYTES = 1024 * 1024;
/** Below this a reader counts as having taken what it was sent. */
const LOW_WATER_BYTES = 64 * 1024;
const RETRY_MS = 1_000;

const LINE_BREAK = /\r\n|\r|\n/;

/** One frame as text. Every line of the data gets its own field, so no data can begin a field or end the frame. */
export function sseFrame({ id, event, data, createdAt }: SseEvent): string {
  const time = createdAt === undefined ? "" : `createdAt: ${createdAt}\n`;
  const lines = data.split(LINE_BREAK).map((line) => `data: ${line}\n`);
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\n${time}${lines.join("")}\n`;
}

/** A comment; its text must be the server's own. */
export const sseComment = (text: string): string => `: ${text}\n\n`;

/**
 * One reader's stream. What is sent waits in memory until the reader takes it, so senders of much wait for `drained`,
 * and live events go through `push`, which cuts a slow reader.
 */
export class SseStream {
  readonly body: ReadableStream<Uint8Array>;
  /** Resolves once the reader is gone or the stream was ended. */
  readonly done: Promise<void>;
  readonly #encoder = new TextEncoder();
  readonly #onEnd: () => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  readonly #timer: ReturnType<typeof setInterval>;
  #waiting: (() => void)[] = [];

  constructor({ comment, everyMs }: SignOfLife) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#onEnd = resolve;
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#release(),
        cancel: () => this.#finish(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: LOW_WATER_BYTES }),
    );
    this.#timer = setInterval(() => this.#room > 0 && this.send(sseComment(comment)), everyMs);
  }

  get ended(): boolean {
    return this.#controller === undefined;
  }

  send(text: string): void {
    this.#controller?.enqueue(this.#encoder.encode(text));
  }

  /** Sends live text, or cuts a reader that is too far behind: it resumes from the last id it has. */
  push(text: string): void {
    if (LOW_WATER_BYTES - this.#room > MAX_BEHIND_BYTES) this.cut();
    else this.send(text);
  }

  /** Ends the stream of a reader that is too far behind. */
  cut(): void {
    this.end("too slow, resume from the last id");
  }

  /** Resolves when the reader has taken what was sent, or is gone. */
  async drained(): Promise<void> {
    if (this.ended || this.#room > 0) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Ends the stream with a comment and a hint when to come back. */
  end(comment: string): void {
    this.send(`: ${comment}\nretry: ${RETRY_MS}\n\n`);
    this.#controller?.close();
    this.#finish();
  }

  get #room(): number {
    return this.#controller?.desiredSize ?? 0;
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #finish(): void {
    if (this.ended) return;
    this.#controller = undefined;
    clearInterval(this.#timer);
    this.#release();
    this.#onEnd();
  }
}

/** The answer that carries a stream; proxies on the way must neither buffer nor change it. */
export const sseResponse = (stream: SseStream): Response =>
  new Response(stream.body, {
    headers: {
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    },
  });

/** Where to resume: the header, which browsers send on reconnecting, wins over the query; garbage means the start. */
export function resumePoint(lastEventId: string | undefined, cursor: string | undefined): number {
  const text = lastEventId ?? cursor;
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : -1;
}
