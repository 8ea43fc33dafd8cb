import { type Ctx, demand } from "#domain/context";
import { selectWorkspaces, type Workspace } from "#domain/workspace/repo";
import { cutOffsetPage, type OffsetPage, type Page } from "#kernel/page";

/** The team's workspaces, most recently changed first. */
export async function listWorkspaces(ctx: Ctx, page: OffsetPage): Promise<Page<Workspace>> {
  demand(ctx.actor, "workspace:read");
  return cutOffsetPage(await selectWorkspaces(ctx.db, ctx.actor.teamId, page), page);
}
