import type { IdempotencyAnswer, IdempotencyClaim } from "#domain/principal/ports";
import { ok, type Result, refuse } from "#kernel/fault";
import { DAY, MINUTE } from "#kernel/time";

/** A holder that has not answered for this long is taken for dead. */
const CLAIM_LEASE_MS = MINUTE;
/** How long an answer can be asked for again. */
const CLAIM_RETENTION_MS = DAY;

type Row = {
  fingerprint: string;
  seed: string;
  claimed_at: number;
  lease_until: number;
  answer: string | null;
};

/** Idempotency keys of one principal, in its object's storage. Synchronous, so calls never interleave. */
export class Claims {
  static readonly MIGRATION = `CREATE TABLE claims (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, seed TEXT NOT NULL,
    claimed_at INTEGER NOT NULL, lease_until INTEGER NOT NULL, answer TEXT
  ) WITHOUT ROWID`;
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  claim(key: string, fingerprint: string, now: number, newSeed: () => string): Result<IdempotencyClaim> {
    const [row] = this.#sql.exec<Row>("SELECT * FROM claims WHERE key = ?", key).toArray();
    if (!row || row.claimed_at + CLAIM_RETENTION_MS <= now) {
      const seed = newSeed();
      this.#sql.exec(
        "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?, NULL)",
        ...[key, fingerprint, seed, now, now + CLAIM_LEASE_MS],
      );
      return ok({ state: "fresh", seed, at: now });
    }
    if (row.fingerprint !== fingerprint) {
      return refuse("idempotency_mismatch", "this Idempotency-Key was used with another request");
    }
    if (row.answer !== null) return ok({ state: "answered", answer: JSON.parse(row.answer) as IdempotencyAnswer });
    if (row.lease_until > now) {
      return refuse("idempotency_running", "the first request with this Idempotency-Key is still at work");
    }
    this.#sql.exec("UPDATE claims SET lease_until = ? WHERE key = ?", now + CLAIM_LEASE_MS, key);
    return ok({ state: "fresh", seed: row.seed, at: row.claimed_at });
  }

  settle(key: string, answer: IdempotencyAnswer): void {
    this.#sql.exec("UPDATE claims SET answer = ? WHERE key = ? AND answer IS NULL", JSON.stringify(answer), key);
  }

  release(key: string, effect: "none" | "unknown"): void {
    if (effect === "none") this.#sql.exec("DELETE FROM claims WHERE key = ? AND answer IS NULL", key);
    else this.#sql.exec("UPDATE claims SET lease_until = 0 WHERE key = ?", key);
  }

  get count(): number {
    return this.#sql.exec<{ n: number }>("SELECT COUNT(*) AS n FROM claims").one().n;
  }

  /** Forgets what is too old to be asked for; tells when to come again, or null when nothing is left. */
  purge(now: number): number | null {
    this.#sql.exec("DELETE FROM claims WHERE claimed_at <= ?", now - CLAIM_RETENTION_MS);
    const [row] = this.#sql.exec<{ oldest: number | null }>("SELECT MIN(claimed_at) AS oldest FROM claims").toArray();
    return row?.oldest == null ? null : row.oldest + CLAIM_RETENTION_MS;
  }
}
