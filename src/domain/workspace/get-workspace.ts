import { type Ctx, demand } from "#domain/context";
import { findWorkspace, type Workspace } from "#domain/workspace/repo";
import { workspaceKey } from "#domain/workspace/values";
import { Fault } from "#kernel/fault";

/** A workspace of the caller's team by the id the team knows; another team's is `workspace_not_found`. */
export async function getWorkspace(ctx: Ctx, id: string): Promise<Workspace> {
  demand(ctx.actor, "workspace:read");
  const { teamId } = ctx.actor;
  const workspace = await findWorkspace(ctx.db, teamId, workspaceKey(teamId, id));
  if (!workspace) throw new Fault("workspace_not_found", "no such workspace");
  return workspace;
}
