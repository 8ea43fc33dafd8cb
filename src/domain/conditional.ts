import { getTableColumns, type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import type { Db } from "#domain/context";

/** Holds in a batch when the statement just before it changed a row. */
export const CHANGED = sql`changes() > 0`;

/**
 * Inserts a row if a condition holds at the moment of the write. D1 has no interactive transaction, so a condition that
 * was read before may no longer be true.
 */
export function insertWhere<T extends SQLiteTable>(db: Db, table: T, row: Required<T["$inferInsert"]>, condition: SQL) {
  const columns = Object.entries(getTableColumns(table));
  const values = columns.map(([name, column]) => sql.param(Reflect.get(row, name), column));
  return db.insert(table).select(sql`SELECT ${sql.join(values, sql`, `)} WHERE ${condition}`);
}
