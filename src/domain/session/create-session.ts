import { pickAgent } from "#domain/agent/agents";
import { audit } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { getWorkspaceSandbox, insertSession } from "#domain/session/repo";
import type { Session } from "#domain/session/values";
import { Fault } from "#kernel/fault";

/** The contract limits titles only where they are changed; a page of 200 sessions must fit an answer all the same. */
const MAX_TITLE_CHARS = 1_000;

export type CreateSessionInput = {
  workspaceId: string;
  title?: string | undefined;
  agentName?: string | undefined;
  modelRef?: string | undefined;
};

/**
 * Opens a session in a workspace. Its object is given it when it is first used. Throws `invalid`, `workspace_not_found`,
 * `agent_not_found`, `agent_target_invalid` or `model_not_found`.
 */
export async function createSession(ctx: Ctx, input: CreateSessionInput): Promise<Session> {
  demand(ctx.actor, "session:write");
  if (input.title !== undefined && input.title.length > MAX_TITLE_CHARS) {
    throw new Fault("invalid", `title holds at most ${MAX_TITLE_CHARS} characters`, { field: "title" });
  }
  const agent = pickAgent(input.agentName ?? null);
  const modelRef = input.modelRef === undefined ? null : ctx.models.get(input.modelRef.trim()).ref;
  const sandboxId = await getWorkspaceSandbox(ctx, input.workspaceId);
  const now = ctx.now();
  const session: Session = {
    id: ctx.newId("session"),
    teamId: ctx.actor.teamId,
    workspaceId: input.workspaceId,
    sandboxId,
    parentSessionId: null,
    subjectRef: ctx.actor.subject,
    agentName: input.agentName ?? null,
    activeAgentName: agent.name,
    modelRef,
    title: input.title ?? null,
    status: "active",
    createdAt: now,
    updatedAt: now,
    lastRunAt: null,
  };
  await commit(
    ctx.db,
    insertSession(ctx.db, session),
    audit(ctx, "session.created", session.id, { workspaceId: session.workspaceId, agentName: agent.name }),
  );
  return session;
}
