export type SseEvent = { id: string; event: string; data: string; createdAt?: string };

/** Bytes a reader may be behind on live events before it is cut and told to come back. */
const MAX_BEHIND_BYTES = 1024 * 1024;
/** Below this a reader counts as having taken what it was sent. */
const LOW_WATER_BYTES = 64 * 1024;
const COMMENT_EVERY_MS = 15_000;
const RETRY_MS = 1_000;

const LINE_BREAK = /\r\n|\r|\n/;

/** One frame as text. Every line of the data gets its own field, so no data can begin a field or end the frame. */
export function sseFrame({ id, event, data, createdAt }: SseEvent): string {
  const time = createdAt === undefined ? "" : `createdAt: ${createdAt}\n`;
  const lines = data.split(LINE_BREAK).map((line) => `data: ${line}\n`);
  return `id: ${id}\nevent: ${event}\n${time}${lines.join("")}\n`;
}

/**
 * One reader's stream. It begins with a comment and carries one every 15 s. What is sent waits in memory until the
 * reader takes it, so senders of much wait for `drained`, and live events go through `push`, which cuts a slow reader.
 */
export class SseStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #encoder = new TextEncoder();
  readonly #onEnd: () => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  readonly #timer: ReturnType<typeof setInterval>;
  #waiting: (() => void)[] = [];

  /** `onEnd` is called once, when the reader is gone or the stream was ended. */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
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
    this.send(": connected\n\n");
    this.#timer = setInterval(() => this.#room > 0 && this.send(": keep-alive\n\n"), COMMENT_EVERY_MS);
  }

  get ended(): boolean {
    return this.#controller === undefined;
  }

  send(text: string): void {
    this.#controller?.enqueue(this.#encoder.encode(text));
  }

  /** Sends live text, or cuts a reader that is too far behind: it resumes from the last id it has. */
  push(text: string): void {
    if (LOW_WATER_BYTES - this.#room > MAX_BEHIND_BYTES) this.end(": too slow, resume from the last id");
    else this.send(text);
  }

  /** Resolves when the reader has taken what was sent, or is gone. */
  async drained(): Promise<void> {
    if (this.ended || this.#room > 0) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Ends the stream with a comment and a hint when to come back. */
  end(comment: string): void {
    this.send(`${comment}\nretry: ${RETRY_MS}\n\n`);
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
