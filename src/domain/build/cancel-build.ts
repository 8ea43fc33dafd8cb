import { audit } from "#domain/audit/audit";
import { findBuild } from "#domain/build/repo";
import { type Ctx, commit, demand, inTeam } from "#domain/context";
import { PLATFORM_TEAM } from "#domain/template/values";
import { Fault, unwrap } from "#kernel/fault";

/** Ends a build at once, with what it runs and its sandbox. `invalid` once it is over (platform R414). */
export async function cancelBuild(ctx: Ctx, id: string): Promise<void> {
  demand(ctx.actor, "platform:admin");
  const build = await findBuild(ctx.db, id);
  if (!build) throw new Fault("build_not_found", "there is no such build");
  unwrap(await ctx.builds.build(id).cancel());
  await commit(ctx.db, audit(inTeam(ctx, PLATFORM_TEAM), "build.cancelled", id, { name: build.name }));
}
