import type { Log } from "#kernel/log";
import { MINUTE } from "#kernel/time";
import type { Target } from "./rules.ts";

const MOST = 10;

/** Writes down what a sandbox was kept from, a few lines a minute: a program that loops must not fill the log. */
export class RefusalLog {
  readonly #log: Log;
  #sandbox: string;
  #count = 0;
  #begun = 0;

  constructor(log: Log, sandbox: string) {
    this.#log = log;
    this.#sandbox = sandbox;
  }

  /** Tells whose refusals these are from here on. */
  belongTo(sandboxId: string): void {
    this.#sandbox = sandboxId;
  }

  note({ host, port }: Target, why: string): void {
    const now = performance.now();
    const sandbox = this.#sandbox;
    if (this.#begun === 0 || now - this.#begun > MINUTE) {
      if (this.#count > MOST)
        this.#log.warn("further refusals were not logged", { sandbox, count: this.#count - MOST });
      this.#begun = now;
      this.#count = 0;
    }
    if (++this.#count <= MOST) this.#log.warn("a sandbox was kept from an address", { sandbox, host, port, why });
  }
}
