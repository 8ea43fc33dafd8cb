import { sql } from "drizzle-orm";
import type { Ctx } from "#domain/context";

const DEADLINE_MS = 2_000;

/** True when the directory answers in time. Public: it tells nothing about anyone. */
export async function checkStorage(ctx: Pick<Ctx, "db" | "log">): Promise<boolean> {
  const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error("no answer in time")), DEADLINE_MS));
  try {
    await Promise.race([ctx.db.run(sql`SELECT 1`), late]);
    return true;
  } catch (error) {
    ctx.log.error("the directory does not answer", { error });
    return false;
  }
}
