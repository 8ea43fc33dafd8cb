import { Fault } from "#kernel/fault";

const CHUNK_BYTES = 256 * 1024;

/**
 * A stream on its way into a call. The runtime ends a request as if it were whole when the stream of its body breaks, so
 * the call needs `signal`, which aborts then: what was cut off must not look complete to its receiver. All bytes pass
 * through one buffer.
 */
export class Sending {
  readonly body: ReadableStream<Uint8Array>;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #broken = new AbortController();

  constructor(source: ReadableStream<Uint8Array>) {
    const { readable, writable } = new IdentityTransformStream();
    this.body = readable;
    this.#reader = byteReader(source);
    void this.#send(writable.getWriter());
  }

  get signal(): AbortSignal {
    return this.#broken.signal;
  }

  /** To be called with the answer: one that comes before everything was sent has no use for the rest. */
  readonly answered = (): void => void this.#reader.cancel().catch(() => {});

  async #send(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    try {
      for (let chunk = await this.#read(new ArrayBuffer(CHUNK_BYTES)); chunk; chunk = await this.#read(chunk.buffer)) {
        // A write is over when its bytes were copied, so that the buffer can be used again.
        await writer.write(chunk);
      }
      await writer.close();
    } catch (error) {
      // Whoever does not take the bytes any more has its answer, or has told why.
      await writer.abort(error).catch(() => {});
      this.answered();
    }
  }

  async #read(buffer: ArrayBufferLike): Promise<Uint8Array | undefined> {
    try {
      const { value } = await this.#reader.readAtLeast(CHUNK_BYTES, new Uint8Array(buffer));
      return value?.length ? value : undefined;
    } catch (error) {
      this.#broken.abort(error instanceof Fault ? error : new Fault("invalid", "the upload was cut off"));
      throw error;
    }
  }
}

/** Streams of the runtime are read into a given buffer as they are; one that was made by hand needs one of them around. */
function byteReader(source: ReadableStream<Uint8Array>): ReadableStreamBYOBReader {
  try {
    return source.getReader({ mode: "byob" });
  } catch {
    return source.pipeThrough(new IdentityTransformStream()).getReader({ mode: "byob" });
  }
}
