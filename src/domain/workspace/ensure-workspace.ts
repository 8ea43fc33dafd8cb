import { type Ctx, demand } from "#domain/context";
import { createWorkspace, type NewWorkspace } from "#domain/workspace/create-workspace";
import { getWorkspace } from "#domain/workspace/get-workspace";
import type { Workspace } from "#domain/workspace/repo";
import { Fault } from "#kernel/fault";

export type WantedWorkspace = Omit<NewWorkspace, "name" | "runtime"> & {
  name?: string | undefined;
  runtime?: string | undefined;
};

/**
 * Finds the workspace that has the given id, or makes one; for that, `name` and `runtime` are needed. Throws
 * `workspace_not_found`, `workspace_owner_mismatch` when the one found is not the wanted owner's, `not_supported` for a
 * directory to import, and whatever `createWorkspace` throws.
 */
export async function ensureWorkspace(
  ctx: Ctx,
  wanted: WantedWorkspace,
): Promise<{ workspace: Workspace; created: boolean }> {
  demand(ctx.actor, "sandbox:write");
  const { id, name, runtime, ownerId } = wanted;
  const fresh = name !== undefined && runtime !== undefined ? { ...wanted, name, runtime } : undefined;
  const known = id === undefined ? undefined : await find(ctx, id, fresh !== undefined);
  if (known) {
    if (ownerId === undefined || ownerId === known.ownerId) return { workspace: known, created: false };
    throw new Fault("workspace_owner_mismatch", "the workspace has another owner");
  }
  if (fresh) return createWorkspace(ctx, fresh);
  throw wanted.rootPath === undefined
    ? new Fault("invalid", "workspaceId, or name and runtime, are required")
    : new Fault("not_supported", "directories of this server cannot be imported");
}

/** A workspace that is missing is no failure where it may be made. */
async function find(ctx: Ctx, id: string, mayBeMissing: boolean): Promise<Workspace | undefined> {
  try {
    return await getWorkspace(ctx, id);
  } catch (error) {
    if (mayBeMissing && error instanceof Fault && error.code === "workspace_not_found") return undefined;
    throw error;
  }
}
