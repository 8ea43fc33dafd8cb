import { and, eq, exists, ne, type SQL, sql } from "drizzle-orm";
import { alias } from "drizzle-orm/sqlite-core";
import type { Db } from "#domain/context";
import { Fault } from "#kernel/fault";
import { users } from "#schema";

export type User = typeof users.$inferSelect;

/** An account that was not deleted; throws `user_not_found`. */
export async function getUser(db: Db, id: string): Promise<User> {
  const [row] = await db
    .select()
    .from(users)
    .where(and(eq(users.id, id), ne(users.status, "deleted")));
  if (!row) throw new Fault("user_not_found", "no such user");
  return row;
}

/** Holds while somebody who can log in administers the platform: a certain user, or any but a certain one. */
export function hasPlatformAdmin(db: Db, who: { is: string } | { isNot: string }): SQL {
  const admins = alias(users, "admins");
  const which = "is" in who ? eq(admins.id, who.is) : ne(admins.id, who.isNot);
  return exists(
    db
      .select({ one: sql`1` })
      .from(admins)
      .where(and(eq(admins.isPlatformAdmin, true), eq(admins.status, "active"), which)),
  );
}

/** Thrown when the one who changes something was demoted in the meantime. */
export const noLongerAdmin = () => new Fault("forbidden", "you do not administer the platform any more");
