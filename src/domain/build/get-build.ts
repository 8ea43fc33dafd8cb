import { planOf } from "#domain/build/plan";
import type { BuildLogEntry } from "#domain/build/ports";
import { type Build, findBuild, listNewestBuilds } from "#domain/build/repo";
import { type Ctx, demand } from "#domain/context";
import { Fault } from "#kernel/fault";

/** A build as it is now. `currentStep` is the step under way, or the last one, counted from 1; 0 before the first. */
export type BuildView = Build & {
  currentStep: number;
  totalSteps: number;
  log: BuildLogEntry[];
  hostId: string | null;
  env: Record<string, string>;
  user: string | null;
};

/** A build with its log; `build_not_found`. What its object says comes first, since the directory is told later. */
export async function getBuild(ctx: Ctx, id: string): Promise<BuildView> {
  demand(ctx.actor, "platform:admin");
  const build = await findBuild(ctx.db, id);
  if (!build) throw new Fault("build_not_found", "there is no such build");
  return viewOf(ctx, build);
}

/** The newest builds, without the logs of those that are over. */
export async function listBuilds(ctx: Ctx): Promise<BuildView[]> {
  demand(ctx.actor, "platform:admin");
  const builds = await listNewestBuilds(ctx.db);
  return Promise.all(builds.map((build) => (build.completedAt === null ? viewOf(ctx, build) : stored(build))));
}

async function viewOf(ctx: Ctx, build: Build): Promise<BuildView> {
  const answer = await ctx.builds.build(build.id).get();
  if (!answer.ok) return stored(build);
  const { state, log } = answer.value;
  const { status, error, startedAt, completedAt, env, user, hostId } = state;
  const sandboxId = status === "pending" ? null : build.sandboxId;
  const under = status === "running" && state.done < state.total ? 1 : 0;
  const steps = { currentStep: state.done + under, totalSteps: state.total };
  return { ...build, status, error, startedAt, completedAt, sandboxId, ...steps, log, hostId, env, user };
}

function stored(build: Build): BuildView {
  const totalSteps = planOf(build.spec).length;
  return { ...build, currentStep: build.spec.done, totalSteps, log: [], hostId: null, env: {}, user: null };
}
