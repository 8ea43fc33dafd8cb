import { and, eq } from "drizzle-orm";
import type { Db, Statement } from "#domain/context";
import { apiKeys, memberships, teams, users } from "#schema";

export function insertApiKey(db: Db, row: typeof apiKeys.$inferInsert): Statement {
  return db.insert(apiKeys).values(row);
}
export function insertUser(db: Db, row: typeof users.$inferInsert): Statement {
  return db.insert(users).values(row);
}
export function insertTeam(db: Db, row: typeof teams.$inferInsert): Statement {
  return db.insert(teams).values(row);
}
export function insertMembership(db: Db, row: typeof memberships.$inferInsert): Statement {
  return db.insert(memberships).values(row);
}

/** The first platform administrator with the team they own, or undefined before set-up. */
export async function findOwner(db: Db): Promise<{ userId: string; email: string; teamId: string } | undefined> {
  const [row] = await db
    .select({ userId: users.id, email: users.email, teamId: memberships.teamId })
    .from(users)
    .innerJoin(memberships, and(eq(memberships.userId, users.id), eq(memberships.role, "owner")))
    .where(eq(users.isPlatformAdmin, true))
    .orderBy(users.createdAt, memberships.createdAt)
    .limit(1);
  return row;
}
