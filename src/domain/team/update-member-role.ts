import { and, ne } from "drizzle-orm";
import { auditIfChanged } from "#domain/audit/audit";
import { type Ctx, demand } from "#domain/context";
import { commitIdentity, principalsOfUser } from "#domain/principal/commit-identity";
import { demandOtherThanOwner } from "#domain/team/demand-other-than-owner";
import { demandActiveTeam, mayInTeam, memberIs, noLongerAllowed } from "#domain/team/repo";
import type { MemberRole } from "#domain/team/values";
import { memberships } from "#schema";

type Input = { id: string; userId: string; role: MemberRole };

/** Gives a member of the active team another role; it holds from the member's next request on (platform R139). */
export async function updateMemberRole(ctx: Ctx, { id, userId, role }: Input): Promise<void> {
  demand(ctx.actor, "team:write");
  await demandActiveTeam(ctx, id);
  const before = await demandOtherThanOwner(ctx.db, id, userId);
  if (before.role === role) return;
  const updated = ctx.db
    .update(memberships)
    .set({ role })
    .where(and(memberIs(id, userId), ne(memberships.role, "owner"), mayInTeam(ctx.db, ctx.actor.id, id, "team:write")))
    .returning({ userId: memberships.userId });
  const noted = auditIfChanged(ctx, "member.role_updated", userId, { from: before.role, to: role });
  const changed = await commitIdentity(ctx, await principalsOfUser(ctx.db, userId, id), updated, noted);
  if (changed.length > 0) return;
  await demandOtherThanOwner(ctx.db, id, userId);
  throw noLongerAllowed();
}
