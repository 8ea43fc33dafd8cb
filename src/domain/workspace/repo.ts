import { and, desc, eq } from "drizzle-orm";
import type { Db, Statement } from "#domain/context";
import { insertSandbox } from "#domain/sandbox/repo";
import type { OffsetPage } from "#kernel/page";
import { runs, sandboxes, sessions, workspaces } from "#schema";

export type Workspace = typeof workspaces.$inferSelect;

/** Every read names the team, so another team's workspace reads as missing. */
export async function findWorkspace(db: Db, teamId: string, id: string): Promise<Workspace | undefined> {
  const [row] = await db
    .select()
    .from(workspaces)
    .where(and(eq(workspaces.id, id), eq(workspaces.teamId, teamId)));
  return row;
}

/** Whether a sandbox carries the files of a workspace that may not be changed. */
export async function isReadOnlySandbox(db: Db, teamId: string, sandboxId: string): Promise<boolean> {
  const [row] = await db
    .select({ readOnly: workspaces.readOnly })
    .from(workspaces)
    .where(and(eq(workspaces.sandboxId, sandboxId), eq(workspaces.teamId, teamId)));
  return row?.readOnly ?? false;
}

/** One row more than the page holds, newest change first. */
export function selectWorkspaces(db: Db, teamId: string, page: OffsetPage): Promise<Workspace[]> {
  return db
    .select()
    .from(workspaces)
    .where(eq(workspaces.teamId, teamId))
    .orderBy(desc(workspaces.updatedAt), desc(workspaces.createdAt), workspaces.id)
    .limit(page.pageSize + 1)
    .offset(page.offset);
}

/** Ids of a workspace's sessions, children included. */
export async function selectSessionIds(db: Db, teamId: string, workspaceId: string): Promise<string[]> {
  const rows = await db
    .select({ id: sessions.id })
    .from(sessions)
    .where(and(eq(sessions.teamId, teamId), eq(sessions.workspaceId, workspaceId)));
  return rows.map(({ id }) => id);
}

export function insertWorkspace(db: Db, row: typeof workspaces.$inferInsert): Statement {
  return db.insert(workspaces).values(row);
}
/** The sandbox that carries a workspace's files; it starts on first use. */
export function insertWorkspaceSandbox(db: Db, workspace: Workspace): Statement {
  const { sandboxId, teamId, id, name, createdBy, createdAt } = workspace;
  return insertSandbox(db, { id: sandboxId, teamId, workspaceId: id, name, createdBy, createdAt });
}
export function deleteWorkspaceRow(db: Db, { id, teamId }: Workspace): Statement {
  return db.delete(workspaces).where(and(eq(workspaces.id, id), eq(workspaces.teamId, teamId)));
}
export function deleteSandboxRow(db: Db, { sandboxId, teamId }: Workspace): Statement {
  return db.delete(sandboxes).where(and(eq(sandboxes.id, sandboxId), eq(sandboxes.teamId, teamId)));
}
export function deleteSessionRows(db: Db, { id, teamId }: Workspace): Statement {
  return db.delete(sessions).where(and(eq(sessions.workspaceId, id), eq(sessions.teamId, teamId)));
}
export function deleteRunRows(db: Db, { id, teamId }: Workspace): Statement {
  return db.delete(runs).where(and(eq(runs.workspaceId, id), eq(runs.teamId, teamId)));
}
