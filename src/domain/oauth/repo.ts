import { and, eq, gt } from "drizzle-orm";
import type { User } from "#domain/account/repo";
import type { Db, Statement } from "#domain/context";
import { oneTimeTokens, userProviders, users } from "#schema";

const KIND = "oauth_state";

type State = { hash: string; userId: string | null; createdAt: number; expiresAt: number };

export function insertState(db: Db, row: State): Statement {
  return db.insert(oneTimeTokens).values({ ...row, kind: KIND });
}

/** Uses a state up; of several callers at once one gets it. The row tells which user it links a provider to, if any. */
export async function takeState(db: Db, hash: string, now: number): Promise<Pick<State, "userId"> | undefined> {
  const [row] = await db
    .delete(oneTimeTokens)
    .where(and(eq(oneTimeTokens.hash, hash), eq(oneTimeTokens.kind, KIND), gt(oneTimeTokens.expiresAt, now)))
    .returning({ userId: oneTimeTokens.userId });
  return row;
}

/** The account that an identity logs in to, whatever its status; undefined when it is nobody's. */
export async function findUserOfIdentity(db: Db, provider: string, subject: string): Promise<User | undefined> {
  const [row] = await db
    .select({ user: users })
    .from(userProviders)
    .innerJoin(users, eq(users.id, userProviders.userId))
    .where(and(eq(userProviders.provider, provider), eq(userProviders.subject, subject)));
  return row?.user;
}

export function insertIdentity(db: Db, row: typeof userProviders.$inferInsert): Statement {
  return db.insert(userProviders).values(row);
}
