import { z } from "zod";
import type { Ctx } from "#domain/context";
import { getSandbox } from "#domain/sandbox/get-sandbox";
import { ensureWorkspace } from "#domain/workspace/ensure-workspace";
import { getWorkspace } from "#domain/workspace/get-workspace";
import type { Workspace } from "#domain/workspace/repo";
import { shownWorkspaceId } from "#domain/workspace/values";
import { operation } from "#http/operation";
import { Fault } from "#kernel/fault";
import { isId } from "#kernel/id";
import { iso } from "#kernel/time";
import { WORKSPACE_ROOT } from "#protocol/supervisor";
import { Id, NonEmpty, Timestamp } from "#surfaces/runtime/values";
import { ExecutionPolicy } from "#surfaces/runtime/workspaces";

const SandboxResource = z
  .object({
    id: Id,
    workspaceId: Id,
    provider: z.enum(["embedded", "self_hosted", "e2b"]),
    executionModel: z.enum(["local_embedded", "sandbox_hosted"]),
    workerPlacement: z.enum(["api_process", "inside_sandbox"]),
    rootPath: z.string(),
    name: z.string(),
    kind: z.literal("project"),
    executionPolicy: ExecutionPolicy,
    createdAt: Timestamp,
    updatedAt: Timestamp,
    ownerWorkerId: z.string().optional(),
    ownerBaseUrl: z.string().optional(),
  })
  .meta({ id: "Sandbox" });

const EnsureSandboxBody = z
  .object({
    workspaceId: NonEmpty.optional(),
    externalRef: z.string().optional(),
    name: NonEmpty.optional(),
    runtime: NonEmpty.optional(),
    rootPath: NonEmpty.optional(),
    ownerId: NonEmpty.trim().optional(),
    serviceName: NonEmpty.optional(),
    executionPolicy: ExecutionPolicy.default("local"),
  })
  .meta({ id: "EnsureSandboxForWorkspaceRequest" });

const toResource = (workspace: Workspace): z.input<typeof SandboxResource> => ({
  id: workspace.sandboxId,
  workspaceId: shownWorkspaceId(workspace.id),
  // Files and commands live in a sandbox of their own, never in the API's process.
  provider: "self_hosted",
  executionModel: "sandbox_hosted",
  workerPlacement: "inside_sandbox",
  rootPath: WORKSPACE_ROOT,
  name: workspace.name,
  kind: "project",
  executionPolicy: workspace.executionPolicy,
  createdAt: iso(workspace.createdAt),
  updatedAt: iso(workspace.updatedAt),
});

/** The workspace of a sandbox that is named by its own id or, as this contract's clients do, by its workspace's. */
export async function workspaceOfSandbox(ctx: Ctx, sandboxId: string): Promise<Workspace> {
  try {
    if (!isId("sandbox", sandboxId)) return await getWorkspace(ctx, sandboxId);
    const { workspaceId } = await getSandbox(ctx, sandboxId);
    if (workspaceId !== null) return await getWorkspace(ctx, shownWorkspaceId(workspaceId));
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "workspace_not_found") throw error;
  }
  throw new Fault("sandbox_not_found", "no such sandbox");
}

const tag = "Sandboxes";

export const sandboxOperations = [
  operation({
    id: "ensureSandboxForWorkspace",
    method: "post",
    path: "/api/v1/sandboxes",
    tag,
    summary: "Find the sandbox of a workspace, or create both",
    description: "With `workspaceId`, `name` and `runtime` a workspace that is not there yet is created under that id.",
    permission: "sandbox:write",
    body: EnsureSandboxBody,
    creates: true,
    returns: { status: 200, schema: SandboxResource, description: "The sandbox was there" },
    also: [{ status: 201, description: "The sandbox was created with its workspace" }],
    faults: [
      "workspace_not_found",
      "workspace_owner_mismatch",
      "runtime_not_found",
      "path_not_allowed",
      "not_supported",
    ],
    run: async (ctx, { body, outcome }) => {
      const { workspaceId: id, ...rest } = body;
      const { workspace, created } = await ensureWorkspace(ctx, { ...rest, id });
      if (created) outcome.status = 201;
      return toResource(workspace);
    },
  }),
  operation({
    id: "getSandbox",
    method: "get",
    path: "/api/v1/sandboxes/{sandboxId}",
    tag,
    summary: "Show a sandbox",
    permission: "sandbox:read",
    params: z.object({ sandboxId: Id }),
    returns: { status: 200, schema: SandboxResource },
    faults: ["sandbox_not_found"],
    run: async (ctx, { params }) => toResource(await workspaceOfSandbox(ctx, params.sandboxId)),
  }),
];
