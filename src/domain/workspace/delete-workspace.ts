import { audit } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { initiatorOf } from "#domain/sandbox/initiator";
import {
  deleteRunRows,
  deleteSandboxRow,
  deleteSessionRows,
  deleteWorkspaceRow,
  findWorkspace,
  selectSessionIds,
} from "#domain/workspace/repo";
import { workspaceKey } from "#domain/workspace/values";
import { type Result, unwrap } from "#kernel/fault";

const SESSIONS_AT_ONCE = 20;

/**
 * Deletes a workspace with its sessions, their runs, and its sandbox with all files. One that does not exist counts as
 * deleted. The objects go first and their rows last, so a call that was cut short can be repeated.
 */
export async function deleteWorkspace(ctx: Ctx, id: string): Promise<void> {
  demand(ctx.actor, "workspace:write");
  const { db, actor } = ctx;
  const workspace = await findWorkspace(db, actor.teamId, workspaceKey(actor.teamId, id));
  if (!workspace) return;
  const sessionIds = await selectSessionIds(db, actor.teamId, workspace.id);
  for (let from = 0; from < sessionIds.length; from += SESSIONS_AT_ONCE) {
    const some = sessionIds.slice(from, from + SESSIONS_AT_ONCE);
    await Promise.all(some.map(async (one) => gone(await ctx.sessions.session(one).destroy(actor.teamId))));
  }
  gone(await ctx.sandboxes.sandbox(workspace.sandboxId).destroy(actor.teamId, initiatorOf(ctx)));
  await commit(
    db,
    deleteRunRows(db, workspace),
    deleteSessionRows(db, workspace),
    deleteSandboxRow(db, workspace),
    deleteWorkspaceRow(db, workspace),
    audit(ctx, "workspace.deleted", workspace.id, { sandboxId: workspace.sandboxId, sessions: sessionIds.length }),
  );
}

/** An object that was never used does not know its subject: then there is nothing to undo. */
function gone(result: Result<unknown>): void {
  if (!result.ok && (result.code === "sandbox_not_found" || result.code === "session_not_found")) return;
  unwrap(result);
}
