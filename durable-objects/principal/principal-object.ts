import { DurableObject } from "cloudflare:workers";
import type { Actor } from "#domain/actor";
import type { IdempotencyAnswer, IdempotencyClaim, PrincipalHandle } from "#domain/principal/ports";
import { ok, type Result, refuse } from "#kernel/fault";
import { HOUR } from "#kernel/time";
import { migrate } from "#objects/kit/migrate";
import { Claims } from "#objects/principal/claims";

const MIGRATIONS = [
  `CREATE TABLE credentials (
    id TEXT PRIMARY KEY, secret_hash TEXT NOT NULL UNIQUE, actor TEXT NOT NULL, expires_at INTEGER
  ) WITHOUT ROWID`,
  Claims.MIGRATION,
];

/** A purge reads all keys, so many that grow old one after another must not cause one each. */
const PURGE_EVERY_MS = HOUR;

/** One principal: which of its credentials are alive, and its idempotency keys. */
export class PrincipalObject extends DurableObject<Env> implements PrincipalHandle {
  readonly #sql = this.ctx.storage.sql;
  readonly #claims = new Claims(this.ctx.storage.sql);

  #open = false;

  async enrol(credential: { id: string; secretHash: string; actor: Actor; expiresAt: number | null }): Promise<void> {
    this.#prepare();
    const { id, secretHash, actor, expiresAt } = credential;
    this.#sql.exec(
      "INSERT OR REPLACE INTO credentials (id, secret_hash, actor, expires_at) VALUES (?, ?, ?, ?)",
      ...[id, secretHash, JSON.stringify(actor), expiresAt],
    );
  }

  async verify(secretHash: string): Promise<Result<Actor>> {
    if (!this.#exists()) return refuse("unauthenticated", "the credential is not valid");
    const [row] = this.#sql
      .exec<{ actor: string; expires_at: number | null }>(
        "SELECT actor, expires_at FROM credentials WHERE secret_hash = ?",
        secretHash,
      )
      .toArray();
    if (!row || (row.expires_at !== null && row.expires_at <= Date.now())) {
      return refuse("unauthenticated", "the credential is not valid");
    }
    return ok(JSON.parse(row.actor) as Actor);
  }

  async revoke(credentialId: string): Promise<void> {
    if (this.#exists()) this.#sql.exec("DELETE FROM credentials WHERE id = ?", credentialId);
  }

  async claim(key: string, fingerprint: string): Promise<Result<IdempotencyClaim>> {
    this.#prepare();
    const now = Date.now();
    const claim = this.#claims.claim(key, fingerprint, now, () => crypto.randomUUID().replaceAll("-", ""));
    if (claim.ok && (await this.ctx.storage.getAlarm()) === null) await this.#arm(now);
    return claim;
  }

  async settle(key: string, answer: IdempotencyAnswer): Promise<void> {
    this.#prepare();
    this.#claims.settle(key, answer);
  }

  async release(key: string, effect: "none" | "unknown"): Promise<void> {
    this.#prepare();
    this.#claims.release(key, effect);
  }

  override async alarm(): Promise<void> {
    this.#prepare();
    await this.#arm(Date.now());
  }

  #prepare(): void {
    if (!this.#open) migrate(this.ctx.storage, MIGRATIONS);
    this.#open = true;
  }

  /** A guessed id names an object too; asking it must leave nothing stored. */
  #exists(): boolean {
    if (!this.#open && this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'credentials'").toArray().length > 0) {
      this.#prepare();
    }
    return this.#open;
  }

  async #arm(now: number): Promise<void> {
    const next = this.#claims.purge(now);
    if (next !== null) await this.ctx.storage.setAlarm(Math.max(next, now + PURGE_EVERY_MS));
  }
}
