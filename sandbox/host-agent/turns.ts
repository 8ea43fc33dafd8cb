import { Failure } from "./failure.ts";

/** Lifecycle calls of one sandbox happen one after the other, those of several beside each other. */
export class Turns {
  readonly #turns = new Map<string, Promise<unknown>>();
  #closed = false;

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Does something once all that came before for this sandbox is done, however that went. */
  take<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(id) ?? Promise.resolve();
    const turn = before.then(() => {
      if (this.#closed) throw new Failure("sandbox_not_running", "this host is shutting down");
      return work();
    });
    const settled = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(id, settled);
    void settled.then(() => this.#turns.get(id) === settled && this.#turns.delete(id));
    return turn;
  }

  /** From here on no turn begins. */
  close(): void {
    this.#closed = true;
  }

  /** Answers when those that have begun are over. */
  async over(): Promise<void> {
    await Promise.all([...this.#turns.values()]);
  }
}
