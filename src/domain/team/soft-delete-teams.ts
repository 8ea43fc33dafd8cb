import { and, eq, isNull, type SQL } from "drizzle-orm";
import { auditIfChanged } from "#domain/audit/audit";
import { type Ctx, inTeam, type Statement } from "#domain/context";
import { stopTeams } from "#domain/team/stop-teams";
import { teams } from "#schema";

/**
 * The statements that delete teams and leave their rows (platform R127). To be committed with
 * `commitIdentity(ctx, await principalsOfTeams(ctx.db, teamIds), …)`, so that keys and sessions notice; `afterDeletion`
 * then ends what runs.
 */
export const softDeleteTeams = (ctx: Ctx, teamIds: readonly string[]): Statement[] =>
  teamIds.flatMap((id) => softDeleteTeam(ctx, id));

/** The same for one team and under a condition; the first statement returns a row if the team was deleted by it. */
export function softDeleteTeam(ctx: Ctx, id: string, condition?: SQL): [Statement, Statement] {
  const at = ctx.now();
  const deleted = ctx.db
    .update(teams)
    .set({ deletedAt: at, updatedAt: at })
    .where(and(eq(teams.id, id), isNull(teams.deletedAt), condition))
    .returning({ id: teams.id });
  return [deleted, auditIfChanged(inTeam(ctx, id), "team.deleted", id)];
}

/** Ends what runs in deleted teams without keeping the caller waiting; the sweep ends what is missed. */
export const afterDeletion = (ctx: Ctx, teamIds: readonly string[]): void => ctx.defer(() => stopTeams(ctx, teamIds));
