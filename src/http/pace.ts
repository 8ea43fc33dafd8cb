import { SECOND } from "#kernel/time";

/** How much was done of late, against what may be done each second for long, and at once. */
export class Pace {
  readonly #perSecond: number;
  readonly #atOnce: number;
  #done = 0;
  #at = 0;

  constructor(perSecond: number, atOnce: number) {
    this.#perSecond = perSecond;
    this.#atOnce = atOnce;
  }

  /** Counts something that is done now. */
  take(amount: number, now: number): void {
    this.#done = this.#left(now) + amount;
    this.#at = now;
  }

  /** Milliseconds until more may be done; 0 when it may be now. */
  waitMs(now: number): number {
    return Math.max(0, ((this.#left(now) - this.#atOnce) / this.#perSecond) * SECOND);
  }

  #left(now: number): number {
    return Math.max(0, this.#done - (Math.max(0, now - this.#at) / SECOND) * this.#perSecond);
  }
}
