import { and, eq, isNull, ne, notExists, type SQL, sql } from "drizzle-orm";
import { type AuditAction, auditIfChanged } from "#domain/audit/audit";
import { type Ctx, demand, type Statement } from "#domain/context";
import { commitIdentity, principalsOfUser } from "#domain/principal/commit-identity";
import { demandOtherThanOwner } from "#domain/team/demand-other-than-owner";
import { demandActiveTeam, mayInTeam, memberIs, noLongerAllowed } from "#domain/team/repo";
import { apiKeys, memberships } from "#schema";

/** Takes somebody out of the active team; what they do there ends with their next request (platform R136, R137). */
export async function removeTeamMember(ctx: Ctx, { id, userId }: { id: string; userId: string }): Promise<void> {
  demand(ctx.actor, "team:write");
  await demandActiveTeam(ctx, id);
  await demandOtherThanOwner(ctx.db, id, userId);
  const removed = await endMembership(
    ctx,
    id,
    userId,
    "member.removed",
    mayInTeam(ctx.db, ctx.actor.id, id, "team:write"),
  );
  if (removed) return;
  await demandOtherThanOwner(ctx.db, id, userId);
  throw noLongerAllowed();
}

/** Ends the caller's membership of the active team. The owner cannot leave (platform R138). */
export async function leaveTeam(ctx: Ctx, id: string): Promise<void> {
  demand(ctx.actor, "account:write");
  await demandActiveTeam(ctx, id);
  await demandOtherThanOwner(ctx.db, id, ctx.actor.id);
  if (!(await endMembership(ctx, id, ctx.actor.id, "member.left"))) throw noLongerAllowed();
}

async function endMembership(ctx: Ctx, teamId: string, userId: string, action: AuditAction, condition?: SQL) {
  const { db } = ctx;
  const removed = db
    .delete(memberships)
    .where(and(memberIs(teamId, userId), ne(memberships.role, "owner"), condition))
    .returning({ userId: memberships.userId });
  const principals = await principalsOfUser(db, userId, teamId);
  const noted = auditIfChanged(ctx, action, userId);
  const rows = await commitIdentity(ctx, principals, removed, noted, revokeKeysOfStranger(ctx, teamId, userId));
  return rows.length > 0;
}

/** The keys somebody made in a team must not come to life again when they are added anew. */
function revokeKeysOfStranger(ctx: Ctx, teamId: string, userId: string): Statement {
  const { db } = ctx;
  const member = db.select({ one: sql`1` }).from(memberships).where(memberIs(teamId, userId));
  return db
    .update(apiKeys)
    .set({ revokedAt: ctx.now() })
    .where(
      and(eq(apiKeys.teamId, teamId), eq(apiKeys.createdBy, userId), isNull(apiKeys.revokedAt), notExists(member)),
    );
}
