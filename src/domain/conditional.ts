import { getTableColumns, type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import type { Db, Statement } from "#domain/context";
import { Fault, type FaultCode } from "#kernel/fault";

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

const marker = (code: FaultCode) => `unmet ${code}`;

/**
 * A statement that undoes its whole batch unless `condition` holds when the batch runs. D1 has no interactive
 * transaction: this is how a change depends on what the database holds at that very moment. Catch with `refuseUnmet`.
 */
export function onlyIf(db: Db, condition: SQL | undefined, code: FaultCode): Statement {
  // A JSON path that is none makes SQLite fail, and its message repeats the path.
  const met = sql`json_extract('{}', CASE WHEN ${condition} THEN '$' ELSE ${marker(code)} END)`;
  return db.select({ met }).from(sql`(SELECT 1)`);
}

/** Turns the failure of a batch into the refusal of its unmet `onlyIf`; every other error stays what it is. */
export const refuseUnmet =
  (messages: Partial<Record<FaultCode, string>>) =>
  (error: unknown): never => {
    for (const [code, message] of Object.entries(messages) as [FaultCode, string][]) {
      if (error instanceof Error && error.message.includes(marker(code))) throw new Fault(code, message);
    }
    throw error;
  };
