const MOST_AT_ONCE_BYTES = 1024 * 1024;
const MOST_WAITING_BYTES = 8 * 1024 * 1024;

type Write = (bytes: Uint8Array) => Promise<void>;

/** Bytes on their way to a process, in order. What comes while some are under way goes together after them. */
export class InputQueue {
  readonly #write: Write;
  readonly #failed: (error: unknown) => void;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #sending = false;

  constructor(write: Write, failed: (error: unknown) => void) {
    this.#write = write;
    this.#failed = failed;
  }

  /** False when so much waits already that these bytes were dropped. */
  add(bytes: Uint8Array): boolean {
    if (this.#waitingBytes + bytes.byteLength > MOST_WAITING_BYTES) return false;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.byteLength;
    if (!this.#sending) void this.#send();
    return true;
  }

  async #send(): Promise<void> {
    this.#sending = true;
    while (this.#waiting.length > 0) await this.#write(this.#next()).catch(this.#failed);
    this.#sending = false;
  }

  /** The first of what waits, and all that fits behind it. */
  #next(): Uint8Array {
    let count = 0;
    let size = 0;
    for (const { byteLength } of this.#waiting) {
      if (count > 0 && size + byteLength > MOST_AT_ONCE_BYTES) break;
      count += 1;
      size += byteLength;
    }
    const together = new Uint8Array(size);
    let at = 0;
    for (const bytes of this.#waiting.splice(0, count)) {
      together.set(bytes, at);
      at += bytes.byteLength;
    }
    this.#waitingBytes -= size;
    return together;
  }
}
