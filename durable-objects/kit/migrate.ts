/**
 * Brings an object's storage to the newest step of an append-only list, synchronously, in the constructor. Refuses to
 * run on storage that is ahead of the code: an older release must not write what it does not know.
 */
export function migrate(storage: DurableObjectStorage, steps: readonly string[]): void {
  storage.transactionSync(() => {
    const { sql } = storage;
    sql.exec("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY)");
    const [row] = sql
      .exec<{ version: number }>("SELECT COALESCE(MAX(version), 0) AS version FROM migrations")
      .toArray();
    const done = row?.version ?? 0;
    if (done > steps.length) throw new Error(`storage is at version ${done}, this release knows ${steps.length}`);
    for (let version = done + 1; version <= steps.length; version++) {
      sql.exec(steps[version - 1] ?? "");
      sql.exec("INSERT INTO migrations (version) VALUES (?)", version);
    }
  });
}
