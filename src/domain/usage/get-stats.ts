import { eq } from "drizzle-orm";
import { type Ctx, demand } from "#domain/context";
import type { TeamStats } from "#domain/usage/ports";
import type { StatsRange } from "#domain/usage/values";
import { teams } from "#schema";

/** What the sandboxes of the actor's team take up. A team is sampled from its creation on. */
export async function getStats(ctx: Ctx, range: StatsRange): Promise<TeamStats> {
  demand(ctx.actor, "sandbox:read");
  const { teamId } = ctx.actor;
  const [team] = await ctx.db.select({ createdAt: teams.createdAt }).from(teams).where(eq(teams.id, teamId));
  return ctx.usage.of(teamId).stats(range, team?.createdAt ?? ctx.now());
}
