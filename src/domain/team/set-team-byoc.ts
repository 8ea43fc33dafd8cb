import { and, eq, isNull, notExists, sql } from "drizzle-orm";
import { auditIfChanged } from "#domain/audit/audit";
import { type Ctx, commit, demand, inTeam } from "#domain/context";
import { findTeam, teamNotFound } from "#domain/team/repo";
import { Fault } from "#kernel/fault";
import { hosts, teams } from "#schema";

/**
 * Lets a team bring its own hosts, or stops that, which is a `conflict` while it has some (platform R400 with A11).
 */
export async function setTeamByoc(ctx: Ctx, { id, byoc }: { id: string; byoc: boolean }): Promise<void> {
  demand(ctx.actor, "platform:admin");
  const team = await findTeam(ctx.db, id);
  if (!team) throw teamNotFound();
  if (team.isByoc === byoc) return;
  const own = ctx.db.select({ one: sql`1` }).from(hosts).where(eq(hosts.teamId, id));
  const updated = ctx.db
    .update(teams)
    .set({ isByoc: byoc, updatedAt: ctx.now() })
    .where(and(eq(teams.id, id), isNull(teams.deletedAt), byoc ? undefined : notExists(own)))
    .returning({ id: teams.id });
  const changed = await commit(ctx.db, updated, auditIfChanged(inTeam(ctx, id), "team.byoc_set", id, { byoc }));
  if (changed.length > 0) return;
  if (!(await findTeam(ctx.db, id))) throw teamNotFound();
  throw new Fault("conflict", "the team has hosts of its own; delete them first");
}
