import { and, eq } from "drizzle-orm";
import { auditAccount } from "#domain/account/audit-account";
import { newSession } from "#domain/account/begin-session";
import { ownAccount } from "#domain/account/repo";
import type { SignedIn } from "#domain/account/sign-in";
import { type Ctx, commit, demand } from "#domain/context";
import type { Device } from "#domain/principal/ports";
import { Fault } from "#kernel/fault";
import { memberships, teams } from "#schema";

/** Goes on in another team: a new session of a whole life begins, and the one that asks ends (platform R57, R60). */
export async function switchTeam(ctx: Ctx, input: { teamId: string; device: Device }): Promise<SignedIn> {
  demand(ctx.actor, "account:write");
  const { teamId, device } = input;
  const { id: userId, email, name, isPlatformAdmin: isAdmin } = await ownAccount(ctx);
  const role = await roleIn(ctx, userId, teamId);
  await commit(ctx.db, auditAccount(ctx, "user.team_switched", ctx.actor));
  const { token, enrolment } = await newSession(ctx, { userId, teamId, device });
  const replaced = await ctx.principals.principal(ctx.actor.principal).replace(ctx.actor.credentialId ?? "", enrolment);
  if (!replaced) throw new Fault("unauthenticated", "the credential is not valid");
  return { token, userId, teamId, email, name, role, isAdmin };
}

/** The role in a team as the directory has it now (platform R58). */
async function roleIn({ db }: Ctx, userId: string, teamId: string) {
  const [row] = await db
    .select({ deletedAt: teams.deletedAt, role: memberships.role })
    .from(teams)
    .leftJoin(memberships, and(eq(memberships.teamId, teams.id), eq(memberships.userId, userId)))
    .where(eq(teams.id, teamId));
  if (!row || row.deletedAt !== null) throw new Fault("team_not_found", "team not found");
  if (row.role === null) throw new Fault("forbidden", "you are not a member of this team");
  return row.role;
}
