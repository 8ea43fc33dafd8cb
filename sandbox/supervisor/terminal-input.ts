import { writeSync } from "node:fs";
import { errnoOf } from "./refusal.ts";
import { MOST_WAITING_BYTES, type ProcessInput } from "./source.ts";

/** Up to here a caller need not wait for its bytes to be taken. */
const COMFORTABLE_BYTES = 256 * 1024;
const FIRST_RETRY_MS = 1;
const LAST_RETRY_MS = 64;

/**
 * Writes to a terminal without ever waiting inside a system call: one whose process does not read is full after a few
 * kilobytes, and is tried again later.
 */
export class TerminalInput implements ProcessInput {
  readonly close = null;
  readonly #descriptor: number;
  readonly #isOpen: () => boolean;
  readonly #queue: Buffer[] = [];
  readonly #waiting = new Set<() => void>();
  #queued = 0;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;

  constructor(descriptor: number, isOpen: () => boolean) {
    this.#descriptor = descriptor;
    this.#isOpen = isOpen;
  }

  async write(bytes: Buffer, signal: AbortSignal): Promise<boolean> {
    if (!this.#isOpen() || this.#queued + bytes.length > MOST_WAITING_BYTES) return false;
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    if (this.#timer === undefined) this.#pump();
    if (this.#queued > COMFORTABLE_BYTES) await this.#room(signal);
    return true;
  }

  /** Drops what nobody will read any more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
    this.#queued = 0;
    this.#wake();
  }

  #room(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake);
      if (signal.aborted) wake();
    });
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  readonly #pump = (): void => {
    this.#timer = undefined;
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      const written = this.#isOpen() ? this.#write(head) : null;
      if (written === null) {
        this.end();
        return;
      }
      this.#queued -= written;
      if (written === head.length) this.#queue.shift();
      else this.#queue[0] = head.subarray(written);
      this.#retryMs = written > 0 ? FIRST_RETRY_MS : Math.min(this.#retryMs * 2, LAST_RETRY_MS);
      if (written === 0) {
        this.#timer = setTimeout(this.#pump, this.#retryMs);
        break;
      }
    }
    if (this.#queued <= COMFORTABLE_BYTES) this.#wake();
  };

  /** Bytes that were taken, none when the terminal is full; null when it is gone. */
  #write(bytes: Buffer): number | null {
    try {
      return writeSync(this.#descriptor, bytes);
    } catch (error) {
      return errnoOf(error) === "EAGAIN" ? 0 : null;
    }
  }
}
