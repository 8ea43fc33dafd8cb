/** Those who wait for a state to be as they want it. */
export class Waiters<State> {
  readonly #state: () => State;
  readonly #looks = new Set<() => void>();

  constructor(state: () => State) {
    this.#state = state;
  }

  /** Resolves once `done` holds of the state, at once if it does already. */
  async until(done: (state: State) => boolean): Promise<void> {
    if (done(this.#state())) return;
    await new Promise<void>((resolve) => {
      const look = () => {
        if (!done(this.#state())) return;
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
    });
  }

  /** To be called whenever the state has changed. */
  look(): void {
    for (const look of this.#looks) look();
  }
}
