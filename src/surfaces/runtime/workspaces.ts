import { z } from "zod";
import { createWorkspace } from "#domain/workspace/create-workspace";
import { deleteWorkspace } from "#domain/workspace/delete-workspace";
import { getWorkspace } from "#domain/workspace/get-workspace";
import { listWorkspaces } from "#domain/workspace/list-workspaces";
import type { Workspace } from "#domain/workspace/repo";
import { EXECUTION_POLICIES, shownWorkspaceId, WORKSPACE_STATUSES } from "#domain/workspace/values";
import { Empty, operation } from "#http/operation";
import { OffsetQuery } from "#http/query";
import type { Json } from "#kernel/json";
import { offsetPage } from "#kernel/page";
import { iso } from "#kernel/time";
import { WORKSPACE_ROOT } from "#protocol/supervisor";
import { Id, NonEmpty, orAbsent, pageOf, Timestamp } from "#surfaces/runtime/values";

export const ExecutionPolicy = z.enum(EXECUTION_POLICIES);

const WorkspaceResource = z
  .object({
    id: Id,
    externalRef: z.string().optional(),
    ownerId: z.string().optional(),
    name: z.string(),
    runtime: z.string().optional(),
    serviceName: z.string().optional(),
    rootPath: z.string(),
    executionPolicy: ExecutionPolicy,
    status: z.enum(WORKSPACE_STATUSES),
    kind: z.literal("project"),
    readOnly: z.boolean(),
    createdAt: Timestamp,
    updatedAt: Timestamp,
  })
  .meta({ id: "Workspace" });

const ServiceName = z
  .string()
  .min(1)
  .refine((name) => /^[a-zA-Z0-9](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?$/.test(name), {
    message: "must be 1 to 63 letters, digits, - or _, and begin and end with a letter or digit",
  });

const CreateWorkspaceBody = z
  .object({
    name: NonEmpty,
    runtime: NonEmpty,
    rootPath: NonEmpty.optional(),
    externalRef: z.string().optional(),
    ownerId: NonEmpty.trim().optional(),
    serviceName: ServiceName.optional(),
    agentsMd: NonEmpty.optional(),
    toolServers: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
    skills: z.array(z.object({ name: NonEmpty, content: NonEmpty })).optional(),
    executionPolicy: ExecutionPolicy.default("local"),
  })
  .meta({ id: "CreateWorkspaceRequest" });

function toResource(row: Workspace): z.input<typeof WorkspaceResource> {
  return {
    id: shownWorkspaceId(row.id),
    externalRef: orAbsent(row.externalRef),
    ownerId: orAbsent(row.ownerId),
    name: row.name,
    runtime: orAbsent(row.runtime),
    serviceName: orAbsent(row.serviceName),
    rootPath: WORKSPACE_ROOT,
    executionPolicy: row.executionPolicy,
    status: row.status,
    kind: "project",
    readOnly: row.readOnly,
    createdAt: iso(row.createdAt),
    updatedAt: iso(row.updatedAt),
  };
}

const params = z.object({ workspaceId: Id });
const tag = "Workspaces";

export const workspaceOperations = [
  operation({
    id: "listWorkspaces",
    method: "get",
    path: "/api/v1/workspaces",
    tag,
    summary: "List workspaces, most recently changed first",
    permission: "workspace:read",
    query: OffsetQuery,
    returns: { status: 200, schema: pageOf(WorkspaceResource, "WorkspacePage") },
    faults: [],
    run: async (ctx, { query }) => {
      const page = await listWorkspaces(ctx, offsetPage(query.pageSize, query.cursor));
      return { ...page, items: page.items.map(toResource) };
    },
  }),
  operation({
    id: "createWorkspace",
    method: "post",
    path: "/api/v1/workspaces",
    tag,
    summary: "Create a workspace and its sandbox",
    description: "The sandbox starts on first use, or at once when the body brings AGENTS.md, skills or tool servers.",
    permission: "workspace:write",
    audits: "workspace.created",
    body: CreateWorkspaceBody,
    creates: true,
    returns: { status: 201, schema: WorkspaceResource },
    faults: ["runtime_not_found", "path_not_allowed", "no_hosts_available", "host_lost"],
    run: async (ctx, { body }) => {
      const toolServers = body.toolServers as Record<string, Json> | undefined;
      return toResource((await createWorkspace(ctx, { ...body, toolServers })).workspace);
    },
  }),
  operation({
    id: "getWorkspace",
    method: "get",
    path: "/api/v1/workspaces/{workspaceId}",
    tag,
    summary: "Show a workspace",
    permission: "workspace:read",
    params,
    returns: { status: 200, schema: WorkspaceResource },
    faults: ["workspace_not_found"],
    run: async (ctx, { params }) => toResource(await getWorkspace(ctx, params.workspaceId)),
  }),
  operation({
    id: "deleteWorkspace",
    method: "delete",
    path: "/api/v1/workspaces/{workspaceId}",
    tag,
    summary: "Delete a workspace with its sessions, its sandbox and all files",
    description: "A workspace that does not exist counts as deleted.",
    permission: "workspace:write",
    audits: "workspace.deleted",
    params,
    returns: { status: 204, schema: Empty },
    faults: ["host_lost"],
    run: async (ctx, { params }) => {
      await deleteWorkspace(ctx, params.workspaceId);
      return undefined;
    },
  }),
];
