import { type Ctx, demand } from "#domain/context";
import type { RunStep } from "#domain/session/values";
import { withRun } from "#domain/session/with-session";
import type { OffsetPage, Page } from "#kernel/page";

export async function listRunSteps(ctx: Ctx, runId: string, page: OffsetPage): Promise<Page<RunStep>> {
  demand(ctx.actor, "session:read");
  return withRun(ctx, runId, (session) => session.listSteps(ctx.actor.teamId, runId, page));
}
