import { audit } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { checkDefinitions, type Definitions, writeDefinitions } from "#domain/workspace/definitions";
import { deleteWorkspace } from "#domain/workspace/delete-workspace";
import { findWorkspace, insertWorkspace, insertWorkspaceSandbox, type Workspace } from "#domain/workspace/repo";
import {
  BUILT_IN_RUNTIMES,
  CHOSEN_WORKSPACE_ID,
  type EXECUTION_POLICIES,
  shownWorkspaceId,
  workspaceKey,
} from "#domain/workspace/values";
import { Fault } from "#kernel/fault";
import { isId } from "#kernel/id";
import { WORKSPACE_ROOT } from "#protocol/supervisor";

const MAX_LABEL_CHARS = 1_000;

export type NewWorkspace = Definitions & {
  /** An id that the caller chose. */
  id?: string | undefined;
  name: string;
  /** Name of the template the sandbox is made from. */
  runtime: string;
  rootPath?: string | undefined;
  externalRef?: string | undefined;
  ownerId?: string | undefined;
  serviceName?: string | undefined;
  executionPolicy: (typeof EXECUTION_POLICIES)[number];
};

/**
 * Makes a workspace and its sandbox, which starts on first use unless the input brings files. Throws
 * `runtime_not_found`, `path_not_allowed` for a root outside the sandbox, and for files whatever starting the sandbox
 * throws; the workspace then does not exist.
 */
export async function createWorkspace(
  ctx: Ctx,
  input: NewWorkspace,
): Promise<{ workspace: Workspace; created: boolean }> {
  demand(ctx.actor, "workspace:write");
  demand(ctx.actor, "sandbox:write");
  if (!BUILT_IN_RUNTIMES.includes(input.runtime)) {
    throw new Fault("runtime_not_found", `no runtime is called "${input.runtime}"`);
  }
  if (input.rootPath !== undefined && input.rootPath.replace(/\/+$/, "") !== WORKSPACE_ROOT) {
    throw new Fault("path_not_allowed", `the files of a workspace are at ${WORKSPACE_ROOT}`);
  }
  checkLabels(input);
  checkDefinitions(input);
  const { workspace, created } = await store(ctx, input);
  try {
    if (created || input.id === undefined) await writeDefinitions(ctx, workspace, input);
  } catch (error) {
    await undo(ctx, workspace);
    throw error;
  }
  return { workspace, created };
}

/** The contract has no limit for these; a page of 200 workspaces must fit an answer all the same. */
function checkLabels({ name, externalRef = "", ownerId = "", serviceName = "" }: NewWorkspace): void {
  for (const [field, text] of Object.entries({ name, externalRef, ownerId, serviceName })) {
    if (text.length <= MAX_LABEL_CHARS) continue;
    throw new Fault("invalid", `${field} holds at most ${MAX_LABEL_CHARS} characters`, { field });
  }
}

/** A refusal promises that nothing is left, so a failure here is no refusal. */
async function undo(ctx: Ctx, workspace: Workspace): Promise<void> {
  try {
    await deleteWorkspace(ctx, shownWorkspaceId(workspace.id));
  } catch (cause) {
    throw new Error(`workspace ${workspace.id} could not be removed again`, { cause });
  }
}

/** `created` is false when the row was there before: a repeat of the same request, or a race for a chosen id. */
async function store(ctx: Ctx, input: NewWorkspace): Promise<{ workspace: Workspace; created: boolean }> {
  const row = newRow(ctx, input);
  try {
    await commit(
      ctx.db,
      insertWorkspace(ctx.db, row),
      insertWorkspaceSandbox(ctx.db, row),
      audit(ctx, "workspace.created", row.id, { name: row.name, sandboxId: row.sandboxId }),
    );
    return { workspace: row, created: true };
  } catch (error) {
    const workspace = await findWorkspace(ctx.db, row.teamId, row.id);
    if (!workspace) throw error;
    return { workspace, created: false };
  }
}

function newRow(ctx: Ctx, input: NewWorkspace): Workspace {
  if (input.id !== undefined && !CHOSEN_WORKSPACE_ID.test(input.id)) {
    throw new Fault("invalid", "a chosen workspace id is 1 to 100 letters, digits, dots, dashes or underscores");
  }
  // Only the server makes ids of its own shape, so one it does not know was never a workspace of this team.
  if (input.id !== undefined && isId("workspace", input.id)) {
    throw new Fault("workspace_not_found", "no such workspace");
  }
  const { teamId, id: actorId } = ctx.actor;
  const now = ctx.now();
  return {
    id: input.id === undefined ? ctx.newId("workspace") : workspaceKey(teamId, input.id),
    teamId,
    sandboxId: ctx.newId("sandbox"),
    name: input.name,
    description: null,
    runtime: input.runtime,
    externalRef: input.externalRef ?? null,
    ownerId: input.ownerId ?? null,
    serviceName: input.serviceName?.toLowerCase() ?? null,
    folderPath: null,
    executionPolicy: input.executionPolicy,
    status: "active",
    readOnly: false,
    settings: {},
    createdBy: actorId,
    createdAt: now,
    updatedAt: now,
  };
}
