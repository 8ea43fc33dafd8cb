import type { Ctx } from "#domain/context";
import type { SessionHandle } from "#domain/session/ports";
import { getSessionRow } from "#domain/session/repo";
import { Fault, type Result, unwrap } from "#kernel/fault";
import { sessionOf } from "#kernel/id";

/**
 * Calls a session's object. One that does not know its session yet is given it from the directory and asked once
 * more; throws `session_not_found` when the caller's team has no such session.
 */
export async function withSession<T>(
  ctx: Ctx,
  sessionId: string,
  call: (session: SessionHandle) => Promise<Result<T>>,
): Promise<T> {
  const handle = ctx.sessions.session(sessionId);
  const first = await call(handle);
  if (first.ok || first.code !== "session_not_found") return unwrap(first);
  await handle.adopt(await getSessionRow(ctx, sessionId));
  return unwrap(await call(handle));
}

/** Calls the object of a run's session, found from the run's id alone. A run that is not the team's is `run_not_found`. */
export async function withRun<T>(
  ctx: Ctx,
  runId: string,
  call: (session: SessionHandle) => Promise<Result<T>>,
): Promise<T> {
  const sessionId = sessionOf("run", runId);
  const missing = new Fault("run_not_found", "run not found", { runId });
  if (!sessionId) throw missing;
  try {
    return await withSession(ctx, sessionId, call);
  } catch (error) {
    throw error instanceof Fault && error.code === "session_not_found" ? missing : error;
  }
}
