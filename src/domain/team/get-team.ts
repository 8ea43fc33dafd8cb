import { type Ctx, demand } from "#domain/context";
import { demandActiveTeam, findTeam, selectMembers, type Team, type TeamMember, teamNotFound } from "#domain/team/repo";

/**
 * The active team with its members. Everybody may ask, so that one who has no team any more is told whether this one
 * exists (platform R123).
 */
export async function getTeam(ctx: Ctx, id: string): Promise<{ team: Team; members: TeamMember[] }> {
  demand(ctx.actor, "account:read");
  await demandActiveTeam(ctx, id);
  const [team, members] = await Promise.all([findTeam(ctx.db, id), selectMembers(ctx.db, id)]);
  if (!team) throw teamNotFound();
  return { team, members };
}

/** The members of the active team, first joined first. */
export async function listTeamMembers(ctx: Ctx, id: string): Promise<TeamMember[]> {
  demand(ctx.actor, "account:read");
  await demandActiveTeam(ctx, id);
  return selectMembers(ctx.db, id);
}
