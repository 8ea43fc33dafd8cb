import { Superseded } from "#domain/session/journal";
import type { AttemptEnd } from "#domain/session/machine";
import type { Run } from "#domain/session/values";
import type { Log } from "#kernel/log";
import type { Engine } from "#objects/session/engine";
import type { RunJournal } from "#objects/session/journal";

type Loop = { runId: string; attempt: number; abort: AbortController };

/** How long the answer to a cancel waits for the processes of the run to be dead. */
const KILL_WAIT_MS = 1_000;

/** The agent loop of the session's active run: at most one, in the background. */
export class Runner {
  readonly #log: Log;
  readonly #ended: (runId: string, attempt: number, end: AttemptEnd) => void;
  readonly #stored: () => Promise<void>;
  #loop: Loop | null = null;
  #kills: Promise<unknown> = Promise.resolve();

  /**
   * `ended` is told how each attempt ended, unless the attempt was replaced meanwhile. `stored` resolves when
   * everything written so far is durable.
   */
  constructor(log: Log, stored: () => Promise<void>, ended: (runId: string, attempt: number, end: AttemptEnd) => void) {
    this.#log = log;
    this.#stored = stored;
    this.#ended = ended;
  }

  /** True while a loop works on this attempt. */
  works(runId: string, attempt: number): boolean {
    return this.#loop?.runId === runId && this.#loop.attempt === attempt;
  }

  start(engine: Engine, run: Run, journal: RunJournal): void {
    this.#loop?.abort.abort(new Superseded());
    const loop = { runId: run.id, attempt: journal.attempt, abort: new AbortController() };
    this.#loop = loop;
    void this.#drive(loop, engine, run, journal);
  }

  /** Stops the loop of an attempt. */
  abort(runId: string, attempt: number): void {
    if (this.works(runId, attempt)) this.#loop?.abort.abort(new Error("the run was stopped"));
  }

  /** Kills the processes of tool calls, by their effect keys. */
  kill(engine: Engine, keys: readonly string[]): void {
    const kills = keys.map((key) =>
      engine.kill(key).catch((error) => this.#log.error("killing a tool call failed", { key, error })),
    );
    this.#kills = Promise.all([this.#kills, ...kills]);
  }

  /** Resolves when the processes of the runs that were stopped are dead, or after a second. */
  async quiet(): Promise<void> {
    const patience = Promise.withResolvers<void>();
    const timer = setTimeout(patience.resolve, KILL_WAIT_MS);
    await Promise.race([this.#kills, patience.promise]);
    clearTimeout(timer);
  }

  /** Ends the loop without an outcome, as the session goes away. */
  drop(): void {
    this.#loop?.abort.abort(new Superseded());
    this.#loop = null;
  }

  async #drive(loop: Loop, engine: Engine, run: Run, journal: RunJournal): Promise<void> {
    let end: AttemptEnd;
    try {
      // No call may leave before the run is durable; the caller's answer, which waits for the same, goes first.
      await this.#stored();
      await scheduler.wait(0);
      loop.abort.signal.throwIfAborted();
      end = await engine.run({ run, journal, signal: loop.abort.signal });
    } catch (error) {
      const stopped = loop.abort.signal.aborted || error instanceof Superseded;
      if (!stopped) this.#log.error("an attempt of a run failed", { runId: run.id, attempt: loop.attempt, error });
      end = { type: stopped ? "aborted" : "crashed" };
    }
    if (this.#loop !== loop) return;
    this.#loop = null;
    this.#ended(loop.runId, loop.attempt, end);
  }
}
