import type { Actor } from "#domain/actor";
import type { Device, Enrolment, Grant, ListedCredential } from "#domain/principal/ports";

/** Uses closer together than this are noted as one. */
const NOTE_USE_EVERY_MS = 1_000;

export type Credential = Enrolment & { seenAt: number; actor: Actor | null };

type Row = {
  id: string;
  secret_hash: string;
  grant_json: string;
  created_at: number;
  expires_at: number | null;
  idle_ms: number | null;
  device: string | null;
  seen_at: number;
  actor: string | null;
};

/** The credentials of one principal, in its object's storage. Synchronous, so calls never interleave. */
export class Credentials {
  /** `distrust` has one row at most: until when the directory is read each time, and when to look after streams. */
  static readonly MIGRATION = `
    DROP TABLE credentials;
    CREATE TABLE credentials (
      id TEXT PRIMARY KEY, secret_hash TEXT NOT NULL UNIQUE, grant_json TEXT NOT NULL, created_at INTEGER NOT NULL,
      expires_at INTEGER, idle_ms INTEGER, device TEXT, seen_at INTEGER NOT NULL, actor TEXT
    ) WITHOUT ROWID;
    CREATE TABLE distrust (one INTEGER PRIMARY KEY CHECK (one = 1), until INTEGER NOT NULL, recheck_at INTEGER)`;
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  add({ id, secretHash, grant, createdAt, expiresAt, idleMs, device }: Enrolment): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO credentials VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
      ...[id, secretHash, JSON.stringify(grant), createdAt, expiresAt, idleMs],
      ...[device && JSON.stringify(device), createdAt],
    );
  }

  bySecret(secretHash: string, now: number): Credential | undefined {
    return this.#one("secret_hash", secretHash, now);
  }

  byId(id: string, now: number): Credential | undefined {
    return this.#one("id", id, now);
  }

  live(now: number): Credential[] {
    const rows = this.#sql.exec<Row>("SELECT * FROM credentials ORDER BY seen_at DESC, id").toArray();
    return rows.map(fromRow).filter((one) => endOf(one) > now);
  }

  /** Keeps the `most` that were used last, `newest` among them; true when others were removed. */
  trim(newest: string, most: number, now: number): boolean {
    const surplus = this.live(now)
      .filter(({ id }) => id !== newest)
      .slice(most - 1);
    for (const { id } of surplus) this.remove(id);
    return surplus.length > 0;
  }

  /** Notes a use, from which an idle time counts anew. */
  use({ id, seenAt, idleMs }: Credential, now: number): void {
    if (idleMs !== null && now - seenAt >= NOTE_USE_EVERY_MS) {
      this.#sql.exec("UPDATE credentials SET seen_at = ? WHERE id = ?", now, id);
    }
  }

  remember(id: string, actor: Actor): void {
    this.#sql.exec("UPDATE credentials SET actor = ? WHERE id = ?", JSON.stringify(actor), id);
  }

  /** Forgets who the credentials act for, and remembers it no sooner than `until`. */
  distrust(until: number, recheckAt: number): void {
    this.#sql.exec("UPDATE credentials SET actor = NULL");
    this.#sql.exec("INSERT OR REPLACE INTO distrust VALUES (1, ?, ?)", until, recheckAt);
  }

  distrusted(): { until: number; recheckAt: number | null } {
    const [row] = this.#sql.exec<{ until: number; recheckAt: number | null }>(
      "SELECT until, recheck_at AS recheckAt FROM distrust",
    );
    return row ?? { until: 0, recheckAt: null };
  }

  rechecked(): void {
    this.#sql.exec("UPDATE distrust SET recheck_at = NULL");
  }

  get count(): number {
    return this.#sql.exec<{ n: number }>("SELECT COUNT(*) AS n FROM credentials").one().n;
  }

  remove(id: string): void {
    this.#sql.exec("DELETE FROM credentials WHERE id = ?", id);
  }

  removeAll(): void {
    this.#sql.exec("DELETE FROM credentials");
  }

  /** Forgets what has ended; tells when the next one ends, or null. */
  purge(now: number): number | null {
    let next: number | null = null;
    for (const one of this.#sql.exec<Row>("SELECT * FROM credentials").toArray().map(fromRow)) {
      const end = endOf(one);
      if (end <= now) this.remove(one.id);
      else if (Number.isFinite(end)) next = Math.min(next ?? end, end);
    }
    return next;
  }

  #one(column: "id" | "secret_hash", value: string, now: number): Credential | undefined {
    const [row] = this.#sql.exec<Row>(`SELECT * FROM credentials WHERE ${column} = ?`, value).toArray();
    const found = row && fromRow(row);
    return found && endOf(found) > now ? found : undefined;
  }
}

export const listed = ({ id, createdAt, expiresAt, device, seenAt }: Credential): ListedCredential => ({
  id,
  createdAt,
  expiresAt,
  device,
  seenAt,
});

/** When a credential ends if it is not used again. */
const endOf = ({ expiresAt, idleMs, seenAt }: Credential): number =>
  Math.min(expiresAt ?? Number.POSITIVE_INFINITY, idleMs === null ? Number.POSITIVE_INFINITY : seenAt + idleMs);

const fromRow = (row: Row): Credential => ({
  id: row.id,
  secretHash: row.secret_hash,
  grant: JSON.parse(row.grant_json) as Grant,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  idleMs: row.idle_ms,
  device: row.device === null ? null : (JSON.parse(row.device) as Device),
  seenAt: row.seen_at,
  actor: row.actor === null ? null : (JSON.parse(row.actor) as Actor),
});
