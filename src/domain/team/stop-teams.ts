import { and, asc, eq, gt, inArray, lte } from "drizzle-orm";
import { systemActor } from "#domain/actor";
import type { Ctx } from "#domain/context";
import { destroySandbox } from "#domain/sandbox/destroy-sandbox";
import { LIVE_STATUSES } from "#domain/sandbox/status";
import { cancelRun } from "#domain/session/cancel-run";
import type { RunStatus } from "#domain/session/values";
import { removeTemplate } from "#domain/template/delete-template";
import { listTemplatesOf } from "#domain/template/repo";
import { PLATFORM_TEAM } from "#domain/template/values";
import { runs, sandboxes } from "#schema";

const AT_ONCE = 20;
export const UNFINISHED: RunStatus[] = ["queued", "running", "waiting_tool"];

/**
 * Ends everything that runs in deleted teams, agents first because they would start sandboxes again, and deletes their
 * templates with the files of those.
 */
export async function stopTeams(ctx: Ctx, teamIds: readonly string[]): Promise<void> {
  for (const teamId of teamIds) {
    await cancelRuns(ctx, teamId);
    await destroySandboxes(ctx, teamId, ctx.now());
    await deleteTemplates(ctx, teamId);
  }
}

/** Destroys a team's running, paused and starting sandboxes (platform R126, R398) that were made by `until`. */
export async function destroySandboxes(ctx: Ctx, teamId: string, until: number): Promise<void> {
  const { id, status, createdAt } = sandboxes;
  const wanted = and(eq(sandboxes.teamId, teamId), inArray(status, LIVE_STATUSES), lte(createdAt, until));
  await inPages(
    (after) => pageOf(ctx, sandboxes, and(wanted, gt(id, after))),
    (one) => settled(ctx, destroySandbox(asSystem(ctx, teamId), one)),
  );
}

async function cancelRuns(ctx: Ctx, teamId: string): Promise<void> {
  const wanted = and(eq(runs.teamId, teamId), inArray(runs.status, UNFINISHED));
  await inPages(
    (after) => pageOf(ctx, runs, and(wanted, gt(runs.id, after))),
    (one) => settled(ctx, cancelRun(asSystem(ctx, teamId), one)),
  );
}

/** The platform's own templates have no team, and are never meant. */
async function deleteTemplates(ctx: Ctx, teamId: string): Promise<void> {
  if (teamId === PLATFORM_TEAM) return;
  for (const template of await listTemplatesOf(ctx.db, [teamId])) {
    await settled(ctx, removeTemplate(asSystem(ctx, teamId), template, "snapshot.deleted"));
  }
}

const asSystem = (ctx: Ctx, teamId: string): Ctx => ({ ...ctx, actor: systemActor("system", teamId) });

async function pageOf(ctx: Ctx, table: typeof sandboxes | typeof runs, where: ReturnType<typeof and>) {
  const rows = await ctx.db.select({ id: table.id }).from(table).where(where).orderBy(asc(table.id)).limit(AT_ONCE);
  return rows.map(({ id }) => id);
}

async function inPages(read: (after: string) => Promise<string[]>, work: (id: string) => Promise<void>): Promise<void> {
  for (let ids = await read(""); ids.length > 0; ids = await read(ids.at(-1) ?? "")) {
    await Promise.all(ids.map(work));
  }
}

/** One that cannot be reached must not keep the others; the sweep comes back to it. */
async function settled(ctx: Ctx, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    ctx.log.warn("something of a team that ends could not be ended", { error });
  }
}
