import { take } from "#domain/principal/limit";
import type { Limit, LimitState } from "#domain/principal/ports";

/** How much of each of a principal's limits is used, in its object's storage. */
export class Limits {
  static readonly MIGRATION = "CREATE TABLE limits (bucket TEXT PRIMARY KEY, full_at REAL NOT NULL) WITHOUT ROWID";
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Counts one request; when any limit is used up none is charged. */
  take(limits: readonly Limit[], now: number): LimitState[] {
    const taken = limits.map((limit) => take(limit, this.#fullAt(limit.bucket), now));
    if (taken.every(({ state }) => state.retryAfterMs === 0)) {
      for (const { state, fullAt } of taken) {
        this.#sql.exec("INSERT OR REPLACE INTO limits VALUES (?, ?)", state.bucket, fullAt);
      }
    }
    return taken.map(({ state }) => state);
  }

  /** Forgets limits that are full again; tells when the next one is, or null. */
  purge(now: number): number | null {
    this.#sql.exec("DELETE FROM limits WHERE full_at <= ?", now);
    return this.#sql.exec<{ next: number | null }>("SELECT MIN(full_at) AS next FROM limits").one().next;
  }

  get count(): number {
    return this.#sql.exec<{ n: number }>("SELECT COUNT(*) AS n FROM limits").one().n;
  }

  #fullAt(bucket: string): number {
    const [row] = this.#sql.exec<{ full_at: number }>("SELECT full_at FROM limits WHERE bucket = ?", bucket).toArray();
    return row?.full_at ?? 0;
  }
}
