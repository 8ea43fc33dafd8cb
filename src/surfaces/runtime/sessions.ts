import { z } from "zod";
import { createSession } from "#domain/session/create-session";
import { getSession } from "#domain/session/get-session";
import { listSessions } from "#domain/session/list-sessions";
import type { Session } from "#domain/session/values";
import { getWorkspace } from "#domain/workspace/get-workspace";
import { shownWorkspaceId } from "#domain/workspace/values";
import { operation } from "#http/operation";
import { OffsetQuery } from "#http/query";
import { offsetPage } from "#kernel/page";
import { iso } from "#kernel/time";
import { Id, isoOrAbsent, orAbsent, pageOf, Timestamp } from "#surfaces/runtime/values";

const SessionResource = z
  .object({
    id: Id,
    workspaceId: Id,
    parentSessionId: Id.optional(),
    subjectRef: z.string(),
    modelRef: z.string().optional(),
    agentName: z.string().optional(),
    activeAgentName: z.string(),
    title: z.string().optional(),
    status: z.enum(["active", "archived", "closed"]),
    lastRunAt: Timestamp.optional(),
    createdAt: Timestamp,
    updatedAt: Timestamp,
  })
  .meta({ id: "Session" });

const CreateSessionBody = z
  .object({
    title: z.string().optional(),
    agentName: z.string().optional(),
    modelRef: z.string().trim().min(1).optional(),
  })
  .meta({ id: "CreateSessionRequest" });

const toResource = (session: Session): z.input<typeof SessionResource> => ({
  id: session.id,
  workspaceId: shownWorkspaceId(session.workspaceId),
  parentSessionId: orAbsent(session.parentSessionId),
  subjectRef: session.subjectRef,
  modelRef: orAbsent(session.modelRef),
  agentName: orAbsent(session.agentName),
  activeAgentName: session.activeAgentName,
  title: orAbsent(session.title),
  status: session.status,
  lastRunAt: isoOrAbsent(session.lastRunAt),
  createdAt: iso(session.createdAt),
  updatedAt: iso(session.updatedAt),
});

const tag = "Sessions";
const params = z.object({ workspaceId: Id });

export const sessionOperations = [
  operation({
    id: "listWorkspaceSessions",
    method: "get",
    path: "/api/v1/workspaces/{workspaceId}/sessions",
    tag,
    summary: "List the sessions of a workspace, most recently changed first",
    permission: "session:read",
    params,
    query: OffsetQuery,
    returns: { status: 200, schema: pageOf(SessionResource, "SessionPage") },
    faults: ["workspace_not_found"],
    run: async (ctx, { params, query }) => {
      const { id } = await getWorkspace(ctx, params.workspaceId);
      const page = await listSessions(ctx, { workspaceId: id, page: offsetPage(query.pageSize, query.cursor) });
      return { ...page, items: page.items.map(toResource) };
    },
  }),
  operation({
    id: "createSession",
    method: "post",
    path: "/api/v1/workspaces/{workspaceId}/sessions",
    tag,
    summary: "Open a session",
    permission: "session:write",
    audits: "session.created",
    params,
    body: CreateSessionBody,
    creates: true,
    returns: { status: 201, schema: SessionResource },
    faults: ["workspace_not_found", "agent_not_found", "agent_target_invalid", "model_not_found"],
    run: async (ctx, { params, body }) => {
      const { id } = await getWorkspace(ctx, params.workspaceId);
      return toResource(await createSession(ctx, { workspaceId: id, ...body }));
    },
  }),
  operation({
    id: "getSession",
    method: "get",
    path: "/api/v1/sessions/{sessionId}",
    tag,
    summary: "Show a session",
    permission: "session:read",
    params: z.object({ sessionId: Id }),
    returns: { status: 200, schema: SessionResource },
    faults: ["session_not_found"],
    run: async (ctx, { params }) => toResource(await getSession(ctx, params.sessionId)),
  }),
];
