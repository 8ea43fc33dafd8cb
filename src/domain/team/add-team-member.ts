import { and, eq, exists, sql } from "drizzle-orm";
import { auditIfChanged } from "#domain/audit/audit";
import { insertWhere } from "#domain/conditional";
import { type Ctx, type Db, demand } from "#domain/context";
import { commitIdentity, principalsOfUser } from "#domain/principal/commit-identity";
import { demandActiveTeam, findMembership, mayInTeam, noLongerAllowed, type TeamMember } from "#domain/team/repo";
import { Fault } from "#kernel/fault";
import { memberships, users } from "#schema";

/**
 * Adds the active account with an e-mail to the active team, as a member and at once (platform R130 to R132). Throws
 * `user_not_found` where there is no such account and `already_member`.
 */
export async function addTeamMember(ctx: Ctx, { id, email }: { id: string; email: string }): Promise<TeamMember> {
  demand(ctx.actor, "team:write");
  await demandActiveTeam(ctx, id);
  const { db } = ctx;
  const user = await findActiveUser(db, email);
  if (!user) throw new Fault("user_not_found", "no account has this e-mail");
  const membership = { teamId: id, userId: user.id, role: "member", isDefault: false, createdAt: ctx.now() } as const;
  const isActive = exists(
    db
      .select({ one: sql`1` })
      .from(users)
      .where(activeUser(eq(users.id, user.id))),
  );
  const allowed = and(mayInTeam(db, ctx.actor.id, id, "team:write"), isActive) ?? isActive;
  const insert = insertWhere(db, memberships, membership, allowed).onConflictDoNothing().returning();
  const noted = auditIfChanged(ctx, "member.added", user.id, { email, role: membership.role });
  // The user's sessions may have been in this team before, and then have forgotten it.
  const added = await commitIdentity(ctx, await principalsOfUser(db, user.id, id), insert, noted);
  if (added.length > 0) return { userId: user.id, email: user.email, role: "member", joinedAt: membership.createdAt };
  if (await findMembership(db, id, user.id)) throw new Fault("already_member", "the user is in the team already");
  throw noLongerAllowed();
}

async function findActiveUser(db: Db, email: string): Promise<{ id: string; email: string } | undefined> {
  const [row] = await db
    .select({ id: users.id, email: users.email })
    .from(users)
    .where(activeUser(eq(users.email, email)));
  return row;
}

const activeUser = (which: ReturnType<typeof eq>) => and(which, eq(users.status, "active"));
