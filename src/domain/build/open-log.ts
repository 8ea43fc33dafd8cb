import { findBuild } from "#domain/build/repo";
import { type Ctx, demand } from "#domain/context";
import { Fault } from "#kernel/fault";

/**
 * Opens the feed of a build's log behind the event of that number, -1 for its begin: a response that carries a
 * WebSocket. `conflict` when the build is over and nothing follows any more.
 */
export async function openBuildLog(ctx: Ctx, id: string, after: number): Promise<Response> {
  demand(ctx.actor, "platform:admin");
  if (!(await findBuild(ctx.db, id))) throw new Fault("build_not_found", "there is no such build");
  const response = await ctx.builds.build(id).openFeed(after);
  if (response.status === 409) throw new Fault("conflict", "the build is over, and nothing follows this event");
  return response;
}
