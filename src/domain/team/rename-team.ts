import { and, eq } from "drizzle-orm";
import { auditIfChanged } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { demandActiveTeam, mayInTeam, noLongerAllowed } from "#domain/team/repo";
import { teams } from "#schema";

/** Calls the active team something else; its slug stays. */
export async function renameTeam(ctx: Ctx, { id, name }: { id: string; name: string }): Promise<void> {
  demand(ctx.actor, "team:write");
  await demandActiveTeam(ctx, id);
  const renamed = ctx.db
    .update(teams)
    .set({ name, updatedAt: ctx.now() })
    .where(and(eq(teams.id, id), mayInTeam(ctx.db, ctx.actor.id, id, "team:write")))
    .returning({ id: teams.id });
  const changed = await commit(ctx.db, renamed, auditIfChanged(ctx, "team.renamed", id, { name }));
  if (changed.length === 0) throw noLongerAllowed();
}
