import { and, desc, eq, inArray, lt, max } from "drizzle-orm";
import type { Ctx, Db, Statement } from "#domain/context";
import type { Run, Session } from "#domain/session/values";
import { Fault } from "#kernel/fault";
import { cutOffsetPage, type OffsetPage, type Page } from "#kernel/page";
import { runs, sessions, workspaces } from "#schema";

export const sessionNotFound = (id: string) => new Fault("session_not_found", "session not found", { sessionId: id });

/** The directory's row of a session; another team's session is reported as missing. */
export async function getSessionRow(ctx: Ctx, id: string): Promise<Session> {
  const [row] = await ctx.db
    .select()
    .from(sessions)
    .where(and(eq(sessions.id, id), eq(sessions.teamId, ctx.actor.teamId)));
  if (!row) throw sessionNotFound(id);
  return row;
}

/** The sandbox that carries a workspace's files; throws `workspace_not_found` when the team has no such workspace. */
export async function getWorkspaceSandbox(ctx: Ctx, workspaceId: string): Promise<string> {
  const [row] = await ctx.db
    .select({ sandboxId: workspaces.sandboxId })
    .from(workspaces)
    .where(and(eq(workspaces.id, workspaceId), eq(workspaces.teamId, ctx.actor.teamId)));
  if (!row) throw new Fault("workspace_not_found", "workspace not found", { workspaceId });
  return row.sandboxId;
}

/** Sessions of a workspace, last changed first. */
export async function listSessionRows(ctx: Ctx, workspaceId: string, page: OffsetPage): Promise<Page<Session>> {
  const rows = await ctx.db
    .select()
    .from(sessions)
    .where(and(eq(sessions.teamId, ctx.actor.teamId), eq(sessions.workspaceId, workspaceId)))
    .orderBy(desc(sessions.updatedAt), desc(sessions.createdAt), sessions.id)
    .limit(page.pageSize + 1)
    .offset(page.offset);
  return cutOffsetPage(rows, page);
}

/** Sessions with runs that are not over, none of which was heard of since `before`: waiting ones report with the active. */
export async function listStaleSessions(db: Db, before: number, limit: number): Promise<string[]> {
  const rows = await db
    .select({ id: runs.sessionId })
    .from(runs)
    .where(inArray(runs.status, ["queued", "running", "waiting_tool"]))
    .groupBy(runs.sessionId)
    .having(lt(max(runs.publishedAt), before))
    .limit(limit);
  return rows.map((row) => row.id);
}

export function insertSession(db: Db, session: Session): Statement {
  return db.insert(sessions).values(session).onConflictDoNothing();
}

export function deleteSessionRow(db: Db, teamId: string, id: string): Statement {
  return db.delete(sessions).where(and(eq(sessions.id, id), eq(sessions.teamId, teamId)));
}

export function deleteSessionRuns(db: Db, sessionId: string): Statement {
  return db.delete(runs).where(eq(runs.sessionId, sessionId));
}

/** Writes what a session's object knows of itself; changes no row when the session was deleted. */
export function publishSession(db: Db, { id, updatedAt, lastRunAt, status }: Session) {
  return db
    .update(sessions)
    .set({ updatedAt, lastRunAt, status })
    .where(eq(sessions.id, id))
    .returning({ id: sessions.id });
}

export function publishRun(db: Db, session: Session, run: Run, now: number): Statement {
  const state = {
    status: run.status,
    errorCode: run.errorCode,
    startedAt: run.startedAt,
    endedAt: run.endedAt,
    publishedAt: now,
  };
  const { id, workspaceId, triggerType, agentName, createdAt } = run;
  return db
    .insert(runs)
    .values({
      id,
      teamId: session.teamId,
      sessionId: session.id,
      workspaceId,
      triggerType,
      agentName,
      createdAt,
      ...state,
    })
    .onConflictDoUpdate({ target: runs.id, set: state });
}
