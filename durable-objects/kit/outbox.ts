import { createLog, type Log } from "#kernel/log";
import { SECOND } from "#kernel/time";

const FIRST_RETRY_MS = 250;
const SLOWEST_RETRY_MS = 30 * SECOND;
/** While a lane is being worked on, the alarm only guards against the object's end in the middle of it. */
const GUARD_MS = 10 * SECOND;

type Row = { seq: number; effect: string; attempts: number; due: number };

/** Performs one effect. `seq` never repeats within an object, so it can name the effect to the outside. */
export type Perform<Effect> = (effect: Effect, seq: number) => Promise<void>;

/**
 * Effects still to perform, in order and at least once. They live beside the object's state and are added in the
 * transaction that changes it. Effects of different lanes do not wait for each other. An effect that throws stays at
 * the head of its lane and is due again later, twice as long after each attempt; the object's alarm must call `drain`
 * no later than `due`.
 */
export class Outbox<Effect> {
  /** One table for all lanes; a step of the object's migrations. */
  static readonly MIGRATION = `CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL,
    effect TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL DEFAULT 0)`;

  readonly #storage: DurableObjectStorage;
  readonly #lane: string;
  readonly #perform: Perform<Effect>;
  readonly #isWanted: (effect: Effect) => boolean;
  readonly #log: Log;
  #draining: Promise<void> | undefined;

  /** An effect that is not wanted any more does not wait for its next attempt: it is dropped. */
  constructor(
    storage: DurableObjectStorage,
    lane: string,
    perform: Perform<Effect>,
    isWanted: (effect: Effect) => boolean = () => true,
  ) {
    this.#storage = storage;
    this.#lane = lane;
    this.#perform = perform;
    this.#isWanted = isWanted;
    this.#log = createLog("warn", { lane });
  }

  /** Must be called inside the transaction that stores the state these effects belong to. */
  add(effects: readonly Effect[]): void {
    for (const effect of effects) {
      this.#storage.sql.exec("INSERT INTO outbox (lane, effect) VALUES (?, ?)", this.#lane, JSON.stringify(effect));
    }
  }

  /** When the head of the lane wants to be performed (0: at once), or null when the lane is empty. */
  due(): number | null {
    const due = this.#head()?.due ?? null;
    return due !== null && this.#draining ? Math.max(due, Date.now() + GUARD_MS) : due;
  }

  /** Performs what is due and answers when nothing is; never rejects. One drain at a time, so nothing is done twice. */
  drain(): Promise<void> {
    this.#draining ??= this.#performAll();
    return this.#draining;
  }

  async #performAll(): Promise<void> {
    await null; // the caller's assignment comes first, so the one at the end cannot be overwritten by it
    try {
      for (let row = this.#head(); row && row.due <= Date.now(); row = this.#head()) await this.#performOne(row);
    } catch (error) {
      this.#log.error("the storage of effects failed, they wait for the next call", { error });
    } finally {
      this.#draining = undefined;
    }
  }

  async #performOne({ seq, effect, attempts }: Row): Promise<void> {
    const wanted = JSON.parse(effect) as Effect;
    try {
      if (this.#isWanted(wanted)) await this.#perform(wanted, seq);
      this.#storage.sql.exec("DELETE FROM outbox WHERE seq = ?", seq);
    } catch (error) {
      const waitMs = Math.min(FIRST_RETRY_MS * 2 ** attempts, SLOWEST_RETRY_MS);
      const due = Date.now() + waitMs;
      this.#storage.sql.exec("UPDATE outbox SET attempts = attempts + 1, due = ? WHERE seq = ?", due, seq);
      this.#log.warn("effect will be retried", { seq, attempts: attempts + 1, waitMs, error });
    }
  }

  #head(): Row | undefined {
    const [row] = this.#storage.sql
      .exec<Row>("SELECT seq, effect, attempts, due FROM outbox WHERE lane = ? ORDER BY seq LIMIT 1", this.#lane)
      .toArray();
    return row && row.due > 0 && !this.#isWanted(JSON.parse(row.effect) as Effect) ? { ...row, due: 0 } : row;
  }
}
