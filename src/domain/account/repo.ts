import { and, asc, desc, eq, isNull, lte, type SQL, sql } from "drizzle-orm";
import type { Ctx, Db, Statement } from "#domain/context";
import { Fault } from "#kernel/fault";
import { memberships, oneTimeTokens, teams, users } from "#schema";

export type User = typeof users.$inferSelect;

export async function findUser(db: Db, id: string): Promise<User | undefined> {
  const [row] = await db.select().from(users).where(eq(users.id, id));
  return row;
}

/** The account that holds an e-mail, whatever its status. */
export async function findUserByEmail(db: Db, email: string): Promise<User | undefined> {
  const [row] = await db.select().from(users).where(eq(users.email, email));
  return row;
}

/** The account of the user who acts. */
export async function ownAccount(ctx: Ctx): Promise<User> {
  const { kind, userId } = ctx.actor;
  const user = kind === "user" && userId !== null ? await findUser(ctx.db, userId) : undefined;
  if (!user) throw new Fault("unauthenticated", "the credential is not valid");
  return user;
}

/** The team a login begins in: the default one, else the one joined first (platform R40). */
export async function findFirstTeam(db: Db, userId: string) {
  const [row] = await db
    .select({ teamId: teams.id, role: memberships.role })
    .from(memberships)
    .innerJoin(teams, and(eq(teams.id, memberships.teamId), isNull(teams.deletedAt)))
    .where(eq(memberships.userId, userId))
    .orderBy(desc(memberships.isDefault), asc(memberships.createdAt), asc(memberships.teamId))
    .limit(1);
  return row;
}

/** Holds as long as the user is in no team that exists. */
export const hasNoTeam = (userId: string): SQL => sql`NOT EXISTS (
  SELECT 1 FROM ${memberships} JOIN ${teams} ON ${teams.id} = ${memberships.teamId} AND ${teams.deletedAt} IS NULL
  WHERE ${memberships.userId} = ${userId})`;

export function updateUser(db: Db, id: string, set: Partial<User>, when?: SQL): Statement {
  return db
    .update(users)
    .set(set)
    .where(and(eq(users.id, id), when));
}

/** Frees an e-mail that was signed up with until `until` and never activated, with the tokens of that account. */
export function deleteInactive(db: Db, email: string, until: number): [Statement, Statement] {
  const stale = and(eq(users.email, email), eq(users.status, "inactive"), lte(users.createdAt, until));
  const ids = db.select({ id: users.id }).from(users).where(stale);
  return [db.delete(oneTimeTokens).where(sql`${oneTimeTokens.userId} IN ${ids}`), db.delete(users).where(stale)];
}
