import { and, eq, exists, gt, inArray, lte, or, type SQL, sql } from "drizzle-orm";
import { type Ctx, type Db, demand } from "#domain/context";
import { LIVE_STATUSES } from "#domain/sandbox/status";
import { destroySandboxes, stopTeams, UNFINISHED } from "#domain/team/stop-teams";
import { DAY } from "#kernel/time";
import { memberships, runs, sandboxes, teams, templates, users } from "#schema";

/** What is not over by then waits for a machine that does not come back. */
const LOOK_BACK_MS = 7 * DAY;
const MAX_TEAMS = 50;

/**
 * Ends what still runs in deleted teams, deletes templates that they still have, and the sandboxes that were there when the owner of a team was deactivated: a
 * crash may have come between such a change and its end, or an agent may have started something since. Answers in how
 * many teams there was something to end.
 */
export async function sweepTeams(ctx: Ctx): Promise<number> {
  demand(ctx.actor, "sandbox:write");
  const since = ctx.now() - LOOK_BACK_MS;
  const deleted = await selectDeletedTeams(ctx.db, since);
  await stopTeams(ctx, deleted);
  const orphaned = await selectOrphanedTeams(ctx.db, since);
  for (const { teamId, until } of orphaned) await destroySandboxes(ctx, teamId, until);
  return deleted.length + orphaned.length;
}

const liveSandboxes = (db: Db, which: SQL | undefined) =>
  exists(
    db
      .select({ one: sql`1` })
      .from(sandboxes)
      .where(and(inArray(sandboxes.status, LIVE_STATUSES), which)),
  );

async function selectDeletedTeams(db: Db, since: number): Promise<string[]> {
  const unfinished = and(eq(runs.teamId, teams.id), inArray(runs.status, UNFINISHED));
  const running = db.select({ one: sql`1` }).from(runs).where(unfinished);
  const kept = db.select({ one: sql`1` }).from(templates).where(eq(templates.teamId, teams.id));
  const left = or(liveSandboxes(db, eq(sandboxes.teamId, teams.id)), exists(running), exists(kept));
  const rows = await db
    .select({ id: teams.id })
    .from(teams)
    .where(and(gt(teams.deletedAt, since), left))
    .limit(MAX_TEAMS);
  return rows.map(({ id }) => id);
}

/** The row of a deactivated user does not change any more, so its time tells when that was. */
function selectOrphanedTeams(db: Db, since: number): Promise<{ teamId: string; until: number }[]> {
  const disabled = and(eq(users.id, memberships.userId), eq(users.status, "disabled"), gt(users.updatedAt, since));
  const before = and(eq(sandboxes.teamId, memberships.teamId), lte(sandboxes.createdAt, users.updatedAt));
  return db
    .select({ teamId: memberships.teamId, until: users.updatedAt })
    .from(memberships)
    .innerJoin(users, disabled)
    .where(and(eq(memberships.role, "owner"), liveSandboxes(db, before)))
    .limit(MAX_TEAMS);
}
