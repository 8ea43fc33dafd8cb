import { and, eq, exists, isNull, or, sql } from "drizzle-orm";
import { auditAccount } from "#domain/account/audit-account";
import { ownAccount, updateUser } from "#domain/account/repo";
import { normalEmail } from "#domain/account/values";
import { onlyIf, refuseUnmet } from "#domain/conditional";
import { type Ctx, type Db, demand } from "#domain/context";
import { commitIdentity, principalsOfTeams, principalsOfUser } from "#domain/principal/commit-identity";
import { selectTeamsOf } from "#domain/team/repo";
import { afterDeletion, softDeleteTeams } from "#domain/team/soft-delete-teams";
import { hasPlatformAdmin } from "#domain/user/repo";
import { Fault } from "#kernel/fault";
import { apiKeys, memberships, oneTimeTokens, teams, users } from "#schema";

const REFUSALS = {
  owns_team_with_members: "you own a team with other members; remove them or delete it first",
  last_platform_admin: "you are the last one who administers the platform; make somebody else an administrator first",
};

/**
 * Deletes the user's own account: it logs in no more, its keys and its teams of one end, and after some days it is
 * removed for good. Throws `owns_team_with_members`, and `last_platform_admin` when nobody else administers the platform
 * (platform R65 to R69, R394).
 */
export async function deleteAccount(ctx: Ctx, confirmation: string): Promise<void> {
  demand(ctx.actor, "account:write");
  const { db } = ctx;
  const user = await ownAccount(ctx);
  if (normalEmail(confirmation) !== user.email) {
    throw new Fault("invalid", "confirmation must be the e-mail of the account");
  }
  const owned = (await selectTeamsOf(db, user.id)).flatMap(({ team, role }) => (role === "owner" ? team.id : []));
  const [own, theirs] = [await principalsOfUser(db, user.id), await principalsOfTeams(db, owned)];
  const at = ctx.now();
  await commitIdentity(
    ctx,
    [...new Set([...own, ...theirs])],
    onlyIf(db, ownsNoSharedTeam(user.id), "owns_team_with_members"),
    onlyIf(db, or(isNoAdmin(db, user.id), hasPlatformAdmin(db, { isNot: user.id })), "last_platform_admin"),
    updateUser(db, user.id, { status: "deleted", deletedAt: at, updatedAt: at }, eq(users.status, "active")),
    db
      .update(apiKeys)
      .set({ revokedAt: at })
      .where(and(eq(apiKeys.createdBy, user.id), isNull(apiKeys.revokedAt))),
    db.delete(oneTimeTokens).where(eq(oneTimeTokens.userId, user.id)),
    auditAccount(ctx, "user.deleted", user),
    ...softDeleteTeams(ctx, owned),
  ).catch(refuseUnmet(REFUSALS));
  for (const name of own) await ctx.principals.principal(name).revokeAll();
  afterDeletion(ctx, owned);
}

const isNoAdmin = (db: Db, userId: string) =>
  exists(
    db
      .select({ id: users.id })
      .from(users)
      .where(and(eq(users.id, userId), eq(users.isPlatformAdmin, false))),
  );

/** Holds while nobody else is in a team that the user owns. Those who deleted their account count as gone. */
const ownsNoSharedTeam = (userId: string) => sql`NOT EXISTS (
  SELECT 1 FROM ${memberships} AS mine
  JOIN ${teams} ON ${teams.id} = mine.team_id AND ${teams.deletedAt} IS NULL
  JOIN ${memberships} AS other ON other.team_id = mine.team_id AND other.user_id <> mine.user_id
  JOIN ${users} ON ${users.id} = other.user_id AND ${users.status} <> 'deleted'
  WHERE mine.user_id = ${userId} AND mine.role = 'owner')`;
