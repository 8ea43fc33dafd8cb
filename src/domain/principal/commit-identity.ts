import { and, eq, inArray, isNull } from "drizzle-orm";
import { type Ctx, commit, type Db, type Statement } from "#domain/context";
import { keyPrincipal, userPrincipal } from "#domain/principal/values";
import { apiKeys, memberships } from "#schema";

const AT_ONCE = 40;
/** D1 takes a hundred parameters in a statement. */
const TEAMS_AT_ONCE = 90;

/**
 * Commits a change of who somebody is or what they may do. Their principals read the directory anew from before the
 * change on, so it holds from the next request on (T7), and streams that it forbids end. A crash on the way loses
 * nothing: a principal that was told to distrust looks again by itself. Answers like `commit`.
 */
export async function commitIdentity(
  ctx: Pick<Ctx, "db" | "principals" | "log">,
  principals: readonly string[],
  first: Statement,
  ...rest: Statement[]
): Promise<unknown[]> {
  await forEach(principals, (name) => ctx.principals.principal(name).distrust());
  const rows = await commit(ctx.db, first, ...rest);
  try {
    await forEach(principals, (name) => ctx.principals.principal(name).recheck());
  } catch (error) {
    ctx.log.warn("a principal will look again by itself", { error });
  }
  return rows;
}

async function forEach(names: readonly string[], work: (name: string) => Promise<void>): Promise<void> {
  for (let i = 0; i < names.length; i += AT_ONCE) await Promise.all(names.slice(i, i + AT_ONCE).map(work));
}

/** The principals of a user: the user's own, and those of the keys they made, in one team or in all. */
export async function principalsOfUser(db: Db, userId: string, teamId?: string): Promise<string[]> {
  const made = and(eq(apiKeys.createdBy, userId), isNull(apiKeys.revokedAt));
  const where = teamId === undefined ? made : and(made, eq(apiKeys.teamId, teamId));
  const keys = await db.select({ hash: apiKeys.secretHash }).from(apiKeys).where(where);
  return [userPrincipal(userId), ...keys.map(({ hash }) => keyPrincipal(hash))];
}

/** The principals of everyone in the teams, and of the teams' keys. */
export async function principalsOfTeams(db: Db, teamIds: readonly string[]): Promise<string[]> {
  const names = new Set<string>();
  for (let i = 0; i < teamIds.length; i += TEAMS_AT_ONCE) {
    const some = teamIds.slice(i, i + TEAMS_AT_ONCE);
    const [members, keys] = await Promise.all([
      db.select({ userId: memberships.userId }).from(memberships).where(inArray(memberships.teamId, some)),
      db
        .select({ hash: apiKeys.secretHash })
        .from(apiKeys)
        .where(and(inArray(apiKeys.teamId, some), isNull(apiKeys.revokedAt))),
    ]);
    for (const { userId } of members) names.add(userPrincipal(userId));
    for (const { hash } of keys) names.add(keyPrincipal(hash));
  }
  return [...names];
}
