import { SECOND } from "#kernel/time";

/** Far longer than a command and the kill for it can be apart on their way here. */
const KEPT_MS = 10 * SECOND;
const KEPT = 1000;

/** Names of commands whose kill came before they had started: such a command must not start any more. */
export class KilledEarly {
  readonly #until = new Map<string, number>();

  add(execId: string): void {
    this.#until.delete(execId);
    this.#until.set(execId, performance.now() + KEPT_MS);
    if (this.#until.size <= KEPT) return;
    const [oldest] = this.#until.keys();
    if (oldest !== undefined) this.#until.delete(oldest);
  }

  has(execId: string): boolean {
    return (this.#until.get(execId) ?? 0) > performance.now();
  }
}
