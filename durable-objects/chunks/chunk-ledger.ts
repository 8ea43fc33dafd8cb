import { MINUTE } from "#kernel/time";

export const CHUNK_MIGRATIONS = [
  // An upload relies on the chunks it claims; those that were `missing` it may have written objects for.
  "CREATE TABLE uploads (id TEXT PRIMARY KEY, until INTEGER NOT NULL)",
  `CREATE TABLE claims (upload TEXT NOT NULL, hash TEXT NOT NULL, missing INTEGER NOT NULL,
    PRIMARY KEY (upload, hash)) WITHOUT ROWID`,
  "CREATE INDEX claims_hash ON claims (hash)",
  // `upload` names the object that holds the chunk.
  `CREATE TABLE chunks (hash TEXT PRIMARY KEY, upload TEXT NOT NULL, bytes INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL) WITHOUT ROWID`,
  // Chunks that a root consists of, itself included.
  "CREATE TABLE parts (root TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (root, hash)) WITHOUT ROWID",
  "CREATE INDEX parts_hash ON parts (hash)",
  // `until` is null for a holder that is known to be in the directory.
  `CREATE TABLE holds (root TEXT NOT NULL, holder TEXT NOT NULL, until INTEGER,
    PRIMARY KEY (root, holder)) WITHOUT ROWID`,
  // Chunks that something has let go of since the last sweep.
  "CREATE TABLE suspects (hash TEXT PRIMARY KEY) WITHOUT ROWID",
  "CREATE TABLE garbage (hash TEXT NOT NULL, upload TEXT NOT NULL, due INTEGER NOT NULL, PRIMARY KEY (hash, upload))",
];

/** How long after the end of an upload one of its requests may still be writing. */
const LATE_MS = 10 * MINUTE;

/** An object of a chunk: its hash, and the upload that wrote it. */
export type ChunkObject = { hash: string; upload: string };

/**
 * What is known of a team's chunks. Whatever is reachable from a hold or claimed by a live upload stays; the rest is
 * named as garbage. Every method must run inside one transaction.
 */
export class ChunkLedger {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  begin(upload: string, until: number): void {
    this.#sql.exec("INSERT OR IGNORE INTO uploads (id, until) VALUES (?, ?)", upload, until);
  }

  isOpen(upload: string, now: number): boolean {
    return this.#sql.exec("SELECT 1 FROM uploads WHERE id = ? AND until > ?", upload, now).toArray().length > 0;
  }

  /** Claims chunks for an upload; answers those that are not there. */
  claim(upload: string, hashes: readonly string[]): string[] {
    return hashes.filter((hash) => {
      const isMissing = !this.has(hash);
      this.#sql.exec(
        "INSERT OR IGNORE INTO claims (upload, hash, missing) VALUES (?, ?, ?)",
        ...[upload, hash, isMissing ? 1 : 0],
      );
      return isMissing;
    });
  }

  isClaimed(upload: string, hash: string): boolean {
    return this.#sql.exec("SELECT 1 FROM claims WHERE upload = ? AND hash = ?", upload, hash).toArray().length > 0;
  }

  has(hash: string): boolean {
    return this.#sql.exec("SELECT 1 FROM chunks WHERE hash = ?", hash).toArray().length > 0;
  }

  /** Takes an object as its chunk's, unless another one is: then this one is garbage. */
  add({ hash, upload }: ChunkObject, sizes: { bytes: number; storedBytes: number }, now: number): void {
    this.#sql.exec(
      "INSERT OR IGNORE INTO chunks (hash, upload, bytes, stored_bytes) VALUES (?, ?, ?, ?)",
      ...[hash, upload, sizes.bytes, sizes.storedBytes],
    );
    this.discard({ hash, upload }, now);
  }

  /** Has an object deleted unless it is its chunk's. */
  discard({ hash, upload }: ChunkObject, due: number): void {
    this.#sql.exec(
      `INSERT OR REPLACE INTO garbage (hash, upload, due) SELECT ?1, ?2, ?3
        WHERE NOT EXISTS (SELECT 1 FROM chunks WHERE hash = ?1 AND upload = ?2)`,
      ...[hash, upload, due],
    );
  }

  objectOf(hash: string): ChunkObject | undefined {
    return this.#sql.exec<ChunkObject>("SELECT hash, upload FROM chunks WHERE hash = ?", hash).toArray()[0];
  }

  /** Whether a chunk belongs to a root. */
  isPart(root: string, hash: string): boolean {
    return this.#sql.exec("SELECT 1 FROM parts WHERE root = ? AND hash = ?", root, hash).toArray().length > 0;
  }

  /** Makes a root of chunks that are there; false, and nothing is done, when one is not. */
  addRoot(root: string, hashes: readonly string[]): boolean {
    const parts = new Set([root, ...hashes]);
    for (const hash of parts) if (!this.has(hash)) return false;
    for (const hash of parts) this.#sql.exec("INSERT OR IGNORE INTO parts (root, hash) VALUES (?, ?)", root, hash);
    return true;
  }

  /** Bytes that the chunks of a root take. */
  storedBytes(root: string): number {
    const [row] = this.#sql
      .exec<{ sum: number }>(
        "SELECT COALESCE(SUM(stored_bytes), 0) AS sum FROM parts JOIN chunks USING (hash) WHERE root = ?",
        root,
      )
      .toArray();
    return row?.sum ?? 0;
  }

  hold(root: string, holder: string, until: number | null): void {
    this.#sql.exec("INSERT OR REPLACE INTO holds (root, holder, until) VALUES (?, ?, ?)", root, holder, until);
  }

  /** Changes a hold that is there. */
  keepUntil(root: string, holder: string, until: number | null): void {
    this.#sql.exec("UPDATE holds SET until = ? WHERE root = ? AND holder = ?", until, root, holder);
  }

  /** Holds whose time has come. */
  due(now: number): { root: string; holder: string }[] {
    return this.#sql
      .exec<{ root: string; holder: string }>("SELECT root, holder FROM holds WHERE until <= ?", now)
      .toArray();
  }

  /** Lets go of a root; without another holder its chunks need not stay for it. */
  release(root: string, holder: string): void {
    this.#sql.exec("DELETE FROM holds WHERE root = ? AND holder = ?", root, holder);
    if (this.#sql.exec("SELECT 1 FROM holds WHERE root = ?", root).toArray().length > 0) return;
    this.#sql.exec("INSERT OR IGNORE INTO suspects SELECT hash FROM parts WHERE root = ?", root);
    this.#sql.exec("DELETE FROM parts WHERE root = ?", root);
  }

  /** Ends an upload: objects that it may have written and that are no chunk's are garbage once none can come late. */
  close(upload: string, now: number): void {
    this.#sql.exec(
      `INSERT OR REPLACE INTO garbage (hash, upload, due) SELECT hash, upload, ?2 FROM claims AS c WHERE upload = ?1
        AND missing = 1 AND NOT EXISTS (SELECT 1 FROM chunks WHERE hash = c.hash AND upload = ?1)`,
      ...[upload, now + LATE_MS],
    );
    this.#sql.exec("INSERT OR IGNORE INTO suspects SELECT hash FROM claims WHERE upload = ?", upload);
    this.#sql.exec("DELETE FROM claims WHERE upload = ?", upload);
    this.#sql.exec("DELETE FROM uploads WHERE id = ?", upload);
  }

  closeExpired(now: number): void {
    const expired = this.#sql.exec<{ id: string }>("SELECT id FROM uploads WHERE until <= ?", now).toArray();
    for (const { id } of expired) this.close(id, now);
  }

  /** Turns chunks that nothing needs any more into garbage. */
  sweep(now: number): void {
    const unneeded = `hash IN (SELECT hash FROM suspects) AND NOT EXISTS (SELECT 1 FROM parts WHERE hash = chunks.hash)
      AND NOT EXISTS (SELECT 1 FROM claims WHERE hash = chunks.hash)`;
    this.#sql.exec(
      `INSERT OR REPLACE INTO garbage (hash, upload, due) SELECT hash, upload, ? FROM chunks WHERE ${unneeded}`,
      now,
    );
    this.#sql.exec(`DELETE FROM chunks WHERE ${unneeded}`);
    this.#sql.exec("DELETE FROM suspects");
  }

  garbage(now: number, limit: number): ChunkObject[] {
    return this.#sql
      .exec<ChunkObject>("SELECT hash, upload FROM garbage WHERE due <= ? ORDER BY due LIMIT ?", now, limit)
      .toArray();
  }

  forget({ hash, upload }: ChunkObject): void {
    this.#sql.exec("DELETE FROM garbage WHERE hash = ? AND upload = ?", hash, upload);
  }

  /** When something is to be done next, in milliseconds; null for never. */
  next(): number | null {
    const [row] = this.#sql
      .exec<{ at: number | null }>(
        `SELECT MIN(at) AS at FROM (SELECT MIN(until) AS at FROM uploads UNION ALL SELECT MIN(until) FROM holds
          UNION ALL SELECT MIN(due) FROM garbage)`,
      )
      .toArray();
    return row?.at ?? null;
  }
}
