import type { Run, Session } from "#domain/session/values";

/** A new run of a session, made for a user's message. */
export function queuedRun(
  session: Session,
  run: { id: string; messageId: string; initiatorRef: string; createdAt: number },
): Run {
  const { id, messageId, initiatorRef, createdAt } = run;
  return {
    id,
    sessionId: session.id,
    workspaceId: session.workspaceId,
    parentRunId: null,
    initiatorRef,
    triggerType: "message",
    triggerRef: messageId,
    agentName: session.activeAgentName,
    effectiveAgentName: session.activeAgentName,
    switchCount: 0,
    status: "queued",
    cancelRequestedAt: null,
    startedAt: null,
    heartbeatAt: null,
    endedAt: null,
    createdAt,
    errorCode: null,
    errorMessage: null,
    metadata: null,
  };
}
