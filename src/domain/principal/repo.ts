import { and, desc, eq, isNull } from "drizzle-orm";
import type { Db, Statement } from "#domain/context";
import { apiKeys, memberships, teams, users } from "#schema";

export type ApiKey = typeof apiKeys.$inferSelect;

/** A repeat under one Idempotency-Key makes the same key anew: the secret of the first attempt was never shown. */
export function insertApiKey(db: Db, row: typeof apiKeys.$inferInsert): Statement {
  const { prefix, secretHash } = row;
  return db.insert(apiKeys).values(row).onConflictDoUpdate({ target: apiKeys.id, set: { prefix, secretHash } });
}

const liveIn = (teamId: string) => and(eq(apiKeys.teamId, teamId), isNull(apiKeys.revokedAt));

export const countApiKeys = async (db: Db, teamId: string): Promise<number> => db.$count(apiKeys, liveIn(teamId));

/** A team's keys that were not revoked, newest first. */
export function selectApiKeys(db: Db, teamId: string): Promise<ApiKey[]> {
  return db.select().from(apiKeys).where(liveIn(teamId)).orderBy(desc(apiKeys.createdAt), desc(apiKeys.id));
}

/** A team's key that was not revoked. */
export async function findApiKey(db: Db, teamId: string, id: string): Promise<ApiKey | undefined> {
  const [row] = await db
    .select()
    .from(apiKeys)
    .where(and(eq(apiKeys.id, id), liveIn(teamId)));
  return row;
}

export function revokeApiKeyRow(db: Db, { id, teamId }: Pick<ApiKey, "id" | "teamId">, at: number): Statement {
  return db
    .update(apiKeys)
    .set({ revokedAt: at })
    .where(and(eq(apiKeys.id, id), liveIn(teamId)));
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
