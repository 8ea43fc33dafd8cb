import type { ProcessLink } from "#domain/process/ports";
import { SECOND } from "#kernel/time";

/** What is told to stop and does not is killed after this. */
const GRACE_MS = 5 * SECOND;

/** Ends a process on request: SIGTERM, and SIGKILL when that does not help (platform A43). */
export class Stopper {
  readonly #processes: ProcessLink;
  #tag: string | undefined;
  #asked = false;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(processes: ProcessLink) {
    this.#processes = processes;
  }

  /** It can be stopped from now on, and is when that was asked for before. */
  started(tag: string): void {
    this.#tag = tag;
    if (this.#asked) this.#send(tag);
  }

  stop(): void {
    if (this.#asked) return;
    this.#asked = true;
    if (this.#tag !== undefined) this.#send(this.#tag);
  }

  end(): void {
    this.#tag = undefined;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #send(tag: string): void {
    // One that has ended meanwhile needs no signal, and of a lost host the stream tells.
    this.#processes.kill(tag, "SIGTERM").catch(() => {});
    this.#timer = setTimeout(() => this.#processes.kill(tag, "SIGKILL").catch(() => {}), GRACE_MS);
  }
}
