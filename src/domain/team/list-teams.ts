import type { Role } from "#domain/actor";
import { type Ctx, demand } from "#domain/context";
import { selectTeamsOf, type Team } from "#domain/team/repo";

/** The caller's teams with the caller's role there, first joined first. */
export async function listTeams(ctx: Ctx): Promise<{ team: Team; role: Role }[]> {
  demand(ctx.actor, "account:read");
  return selectTeamsOf(ctx.db, ctx.actor.id);
}
