import { audit } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { deleteSessionRow, deleteSessionRuns, getSessionRow } from "#domain/session/repo";
import { unwrap } from "#kernel/fault";

/**
 * Deletes a session with its messages, runs and events, and stops what runs. When the object cannot be reached after
 * the rows are gone, it deletes itself at its next report.
 */
export async function deleteSession(ctx: Ctx, sessionId: string): Promise<void> {
  demand(ctx.actor, "session:write");
  const session = await getSessionRow(ctx, sessionId);
  await commit(
    ctx.db,
    deleteSessionRow(ctx.db, session.teamId, sessionId),
    deleteSessionRuns(ctx.db, sessionId),
    audit(ctx, "session.deleted", sessionId),
  );
  unwrap(await ctx.sessions.session(sessionId).destroy(session.teamId));
}
