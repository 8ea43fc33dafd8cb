/** When work that a failing storage refused is taken up again. */
const RETRY_MS = 250;

/** The object's one alarm, set to the earliest time that is due. */
export class AlarmClock {
  readonly #storage: DurableObjectStorage;
  readonly #due: () => (number | null)[];
  #at: number | null = null;
  #retryAt: number | null = null;
  #stopped = false;

  /** `due` answers the times at which something must be looked after, null for nothing. */
  constructor(storage: DurableObjectStorage, due: () => (number | null)[]) {
    this.#storage = storage;
    this.#due = due;
  }

  /** Sets the alarm when something is due before it. */
  arm(): void {
    const times = [...this.#due(), this.#retryAt].filter((at) => at !== null);
    const next = Math.min(...times);
    if (this.#stopped || !Number.isFinite(next) || (this.#at !== null && this.#at <= next)) return;
    this.#at = next;
    void this.#storage.setAlarm(next);
  }

  /** Sets the alarm anew, whatever became of the last one. */
  rearm(): void {
    this.#at = null;
    this.arm();
  }

  /** The alarm went off: none is set now. */
  fired(): void {
    this.#at = this.#retryAt = null;
  }

  /** Comes back soon for something that failed. */
  retry(): void {
    this.#retryAt = Date.now() + RETRY_MS;
    this.rearm();
  }

  stop(): void {
    this.#stopped = true;
  }
}
