import { type SQL, sql } from "drizzle-orm";
import type { Db, Statement } from "#domain/context";
import { Fault, type FaultCode } from "#kernel/fault";

const marker = (code: FaultCode) => `unmet ${code}`;

/**
 * A statement that undoes its whole batch unless `condition` holds when the batch runs. D1 has no interactive
 * transaction: this is how a change depends on what the database holds at that very moment. Catch with `refuseUnmet`.
 */
export function onlyIf(db: Db, condition: SQL | undefined, code: FaultCode): Statement {
  // A JSON path that is none makes SQLite fail, and its message repeats the path.
  return db.run(sql`SELECT json_extract('{}', CASE WHEN ${condition} THEN '$' ELSE ${marker(code)} END)`);
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
