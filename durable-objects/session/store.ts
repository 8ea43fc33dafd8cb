import { initialSession, type SessionState } from "#domain/session/machine";
import type { SendReceipt } from "#domain/session/ports";
import { isTerminal, type Run, type Session } from "#domain/session/values";
import { partId } from "#kernel/id";
import { DAY } from "#kernel/time";

/** A part of the storage that keeps something in memory. */
export interface Cache {
  /** Called after the commit. */
  committed?(): void;
  /** Forgets everything that may not be stored; the next read comes from storage. */
  reload(): void;
}

const IDEMPOTENCY_LIFE_MS = DAY;
export const partNumber = (id: string): number => Number(id.slice(id.lastIndexOf("_") + 1));

/** The session, its machine state and its runs in SQLite, with the live part of them in memory. */
export class SessionStore {
  readonly sql: SqlStorage;
  readonly #storage: DurableObjectStorage;
  readonly #onBroken: (error: unknown) => void;
  readonly #caches: Cache[] = [];
  #session: Session | null = null;
  #state: SessionState = initialSession;
  #stateChanged = false;
  #sessionChanged = false;
  /** Runs that are not over, and those the transaction touched. */
  #runs = new Map<string, Run>();
  #changedRuns = new Map<string, { publish: boolean }>();
  #lastRun = 0;
  #revision = 0;
  #unpublished = false;
  #depth = 0;

  /** `onBroken` is called when storage can be neither written nor read: what is in memory is then worth nothing. */
  constructor(storage: DurableObjectStorage, onBroken: (error: unknown) => void) {
    this.#storage = storage;
    this.#onBroken = onBroken;
    this.sql = storage.sql;
  }

  attach(cache: Cache): void {
    this.#caches.push(cache);
  }

  /**
   * Runs `work` in one storage transaction; a transaction inside another joins it. When it throws, nothing of it
   * stays, in storage or in memory.
   */
  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    this.#depth++;
    let value: T;
    try {
      value = this.#storage.transactionSync(() => {
        const result = work();
        this.#flush();
        return result;
      });
    } catch (error) {
      this.#rollBack();
      throw error;
    } finally {
      this.#depth--;
    }
    for (const cache of this.#caches) cache.committed?.();
    return value;
  }

  /** Reads everything anew from storage. */
  reload(): void {
    const meta = new Map(
      this.sql
        .exec<{ key: string; value: string }>("SELECT key, value FROM meta")
        .toArray()
        .map((row) => [row.key, row.value]),
    );
    const session = meta.get("session");
    const state = meta.get("machine");
    this.#session = session ? (JSON.parse(session) as Session) : null;
    this.#state = state ? (JSON.parse(state) as SessionState) : initialSession;
    this.#stateChanged = this.#sessionChanged = false;
    this.#runs.clear();
    this.#changedRuns.clear();
    const row = this.sql
      .exec<{ last: number | null; dirty: number | null }>("SELECT MAX(n) AS last, MAX(unpublished) AS dirty FROM runs")
      .one();
    this.#lastRun = row.last ?? 0;
    this.#revision = Math.max(this.#revision, row.dirty ?? 0);
    this.#unpublished = (row.dirty ?? 0) > 0;
    for (const cache of this.#caches) cache.reload();
  }

  get session(): Session | null {
    return this.#session;
  }
  set session(session: Session) {
    this.#session = session;
    this.#sessionChanged = true;
  }

  get state(): SessionState {
    return this.#state;
  }
  set state(state: SessionState) {
    if (state === this.#state) return;
    this.#state = state;
    this.#stateChanged = true;
  }

  /** Id of the next run; it is taken once a run with it is put. */
  nextRunId(sessionId: string): string {
    return partId("run", sessionId, this.#lastRun + 1);
  }

  run(id: string): Run | undefined {
    const cached = this.#runs.get(id);
    if (cached) return cached;
    const [row] = this.sql.exec<{ record: string }>("SELECT record FROM runs WHERE n = ?", partNumber(id)).toArray();
    const run = row ? (JSON.parse(row.record) as Run) : undefined;
    return run?.id === id ? run : undefined;
  }

  /** Stores a run at the end of the transaction. `publish` marks it for the directory in D1. */
  putRun(run: Run, publish = true): void {
    this.#runs.set(run.id, run);
    this.#lastRun = Math.max(this.#lastRun, partNumber(run.id));
    this.#changedRuns.set(run.id, { publish: publish || (this.#changedRuns.get(run.id)?.publish ?? false) });
  }

  /** Changes fields of a stored run. */
  patchRun(id: string, patch: Partial<Run>, publish = true): Run {
    const run = this.run(id);
    if (!run) throw new Error(`run ${id} is not stored`);
    const patched = { ...run, ...patch };
    this.putRun(patched, publish);
    return patched;
  }

  get hasUnpublished(): boolean {
    return this.#unpublished;
  }

  /** Runs the directory does not know in their newest form, oldest first. */
  unpublishedRuns(limit: number): { run: Run; revision: number }[] {
    return this.sql
      .exec<{ record: string; unpublished: number }>(
        "SELECT record, unpublished FROM runs WHERE unpublished > 0 ORDER BY n LIMIT ?",
        limit,
      )
      .toArray()
      .map((row) => ({ run: JSON.parse(row.record) as Run, revision: row.unpublished }));
  }

  /** Notes what the directory has; a run that changed meanwhile stays unpublished. */
  markPublished(published: readonly { run: Run; revision: number }[]): void {
    this.transaction(() => {
      for (const { run, revision } of published) {
        this.sql.exec("UPDATE runs SET unpublished = 0 WHERE n = ? AND unpublished = ?", partNumber(run.id), revision);
      }
      const [row] = this.sql.exec("SELECT 1 AS one FROM runs WHERE unpublished > 0 LIMIT 1").toArray();
      this.#unpublished = row !== undefined;
    });
  }

  receipt(key: string): { fingerprint: string; receipt: SendReceipt } | undefined {
    const [row] = this.sql
      .exec<{ fingerprint: string; receipt: string }>("SELECT fingerprint, receipt FROM sends WHERE key = ?", key)
      .toArray();
    return row && { fingerprint: row.fingerprint, receipt: JSON.parse(row.receipt) as SendReceipt };
  }

  keepReceipt(key: string, fingerprint: string, receipt: SendReceipt, now: number): void {
    this.sql.exec("DELETE FROM sends WHERE created_at < ?", now - IDEMPOTENCY_LIFE_MS);
    this.sql.exec(
      "INSERT INTO sends (key, fingerprint, receipt, created_at) VALUES (?, ?, ?, ?)",
      key,
      fingerprint,
      JSON.stringify(receipt),
      now,
    );
  }

  #rollBack(): void {
    try {
      this.reload();
    } catch (error) {
      this.#onBroken(error);
    }
  }

  #flush(): void {
    if (this.#sessionChanged) this.#putMeta("session", this.#session);
    if (this.#stateChanged) this.#putMeta("machine", this.#state);
    this.#sessionChanged = this.#stateChanged = false;
    for (const [id, { publish }] of this.#changedRuns) {
      const run = this.#runs.get(id);
      if (!run) continue;
      const revision = publish ? ++this.#revision : 0;
      this.sql.exec(
        `INSERT INTO runs (n, record, unpublished) VALUES (?, ?, ?) ON CONFLICT (n) DO UPDATE SET record = excluded.record,
         unpublished = MAX(unpublished, excluded.unpublished)`,
        partNumber(id),
        JSON.stringify(run),
        revision,
      );
      this.#unpublished ||= publish;
      if (isTerminal(run.status)) this.#runs.delete(id);
    }
    this.#changedRuns.clear();
  }

  #putMeta(key: string, value: unknown): void {
    this.sql.exec("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, JSON.stringify(value));
  }
}
