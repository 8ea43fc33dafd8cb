import { type Ctx, demand } from "#domain/context";
import type { Run } from "#domain/session/values";
import { withRun } from "#domain/session/with-session";

export async function getRun(ctx: Ctx, runId: string): Promise<Run> {
  demand(ctx.actor, "session:read");
  return withRun(ctx, runId, (session) => session.getRun(ctx.actor.teamId, runId));
}
