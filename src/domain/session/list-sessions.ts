import { type Ctx, demand } from "#domain/context";
import { listSessionRows } from "#domain/session/repo";
import type { Session } from "#domain/session/values";
import type { OffsetPage, Page } from "#kernel/page";

/** Sessions of a workspace as the directory knows them, last changed first. Times may lag by a second. */
export async function listSessions(ctx: Ctx, input: { workspaceId: string; page: OffsetPage }): Promise<Page<Session>> {
  demand(ctx.actor, "session:read");
  return listSessionRows(ctx, input.workspaceId, input.page);
}
