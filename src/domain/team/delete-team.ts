import type { SQL } from "drizzle-orm";
import { type Ctx, demand } from "#domain/context";
import { commitIdentity, principalsOfTeams } from "#domain/principal/commit-identity";
import { demandActiveTeam, findTeam, mayInTeam, noLongerAllowed, teamNotFound } from "#domain/team/repo";
import { afterDeletion, softDeleteTeam } from "#domain/team/soft-delete-teams";

/**
 * Deletes the active team for good, in its owner's name: its keys stop, its members are left without an active team, and
 * what runs is destroyed (platform R125 to R128).
 */
export async function deleteTeam(ctx: Ctx, id: string): Promise<void> {
  demand(ctx.actor, "team:delete");
  await demandActiveTeam(ctx, id);
  const deleted = await endTeam(ctx, id, mayInTeam(ctx.db, ctx.actor.id, id, "team:delete"));
  if (!deleted) throw noLongerAllowed();
}

/** The same in the name of a platform administrator, for any team. */
export async function deleteAnyTeam(ctx: Ctx, id: string): Promise<void> {
  demand(ctx.actor, "platform:admin");
  if (!(await findTeam(ctx.db, id)) || !(await endTeam(ctx, id))) throw teamNotFound();
}

async function endTeam(ctx: Ctx, id: string, condition?: SQL): Promise<boolean> {
  const principals = await principalsOfTeams(ctx.db, [id]);
  const deleted = await commitIdentity(ctx, principals, ...softDeleteTeam(ctx, id, condition));
  if (deleted.length === 0) return false;
  afterDeletion(ctx, [id]);
  return true;
}
