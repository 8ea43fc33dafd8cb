import { and, eq, exists, notExists, sql } from "drizzle-orm";
import { audit } from "#domain/audit/audit";
import { onlyIf, refuseUnmet } from "#domain/conditional";
import { type Ctx, type Db, demand } from "#domain/context";
import { deliverMails } from "#domain/mail/deliver-mails";
import { queueMail, type SealedLetter, sealLetter } from "#domain/mail/queue-mail";
import { commitIdentity, principalsOfUser } from "#domain/principal/commit-identity";
import { insertMembership } from "#domain/principal/repo";
import { demandActiveTeam, findTeam, mayInTeam, memberIs, type TeamMember, teamNotFound } from "#domain/team/repo";
import { Fault } from "#kernel/fault";
import { memberships, users } from "#schema";

const REFUSALS = {
  forbidden: "your role in the team does not allow this",
  user_not_found: "no account has this e-mail",
  already_member: "the user is in the team already",
};

/**
 * Adds the active account with an e-mail to the active team, as a member and at once, and tells it by a letter (platform
 * R130 to R132). Throws `user_not_found` where there is no such account and `already_member`.
 */
export async function addTeamMember(ctx: Ctx, { id, email }: { id: string; email: string }): Promise<TeamMember> {
  demand(ctx.actor, "team:write");
  await demandActiveTeam(ctx, id);
  const { db, actor } = ctx;
  const [user] = await db
    .select()
    .from(users)
    .where(isActive(eq(users.email, email)));
  if (!user) throw new Fault("user_not_found", REFUSALS.user_not_found);
  const joined = { teamId: id, userId: user.id, role: "member", createdAt: ctx.now() } as const;
  const one = { one: sql`1` };
  // The user's sessions may have been in this team before, and then have forgotten it.
  await commitIdentity(
    ctx,
    await principalsOfUser(db, user.id, id),
    onlyIf(db, mayInTeam(db, actor.id, id, "team:write"), "forbidden"),
    onlyIf(
      db,
      exists(
        db
          .select(one)
          .from(users)
          .where(isActive(eq(users.id, user.id))),
      ),
      "user_not_found",
    ),
    onlyIf(db, notExists(db.select(one).from(memberships).where(memberIs(id, user.id))), "already_member"),
    insertMembership(db, joined),
    audit(ctx, "member.added", user.id, { email, role: joined.role }),
    queueMail(db, await letterTo(ctx, id, email)),
  ).catch(refuseUnmet(REFUSALS));
  ctx.defer(() => deliverMails(ctx));
  return { userId: user.id, email: user.email, role: joined.role, joinedAt: joined.createdAt };
}

const isActive = (which: ReturnType<typeof eq>) => and(which, eq(users.status, "active"));

async function letterTo(ctx: Ctx, teamId: string, email: string): Promise<SealedLetter> {
  const [team, by] = await Promise.all([findTeam(ctx.db, teamId), emailOf(ctx.db, ctx.actor.id)]);
  if (!team) throw teamNotFound();
  return sealLetter(ctx, "team_added", email, { team: team.name, by });
}

async function emailOf(db: Db, userId: string): Promise<string> {
  const [row] = await db.select({ email: users.email }).from(users).where(eq(users.id, userId));
  return row?.email ?? "";
}
