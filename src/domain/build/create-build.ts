import { audit } from "#domain/audit/audit";
import { parseHealthCheck } from "#domain/build/health-check";
import type { BuildSpec } from "#domain/build/plan";
import { saysSomething } from "#domain/build/recipe";
import { type Build, insertBuild, orderOf } from "#domain/build/repo";
import { type Ctx, commit, demand, inTeam } from "#domain/context";
import { sizesOf } from "#domain/sandbox/sizes";
import { findUsableTemplate } from "#domain/template/repo";
import { demandTemplateName, MINIMAL, PLATFORM_TEAM } from "#domain/template/values";
import { Fault } from "#kernel/fault";

const MOST_LINES = 500;

export type BuildWish = {
  name: string;
  baseTemplate?: string | undefined;
  recipe: string[];
  healthCheck?: string | undefined;
  vcpus?: number | undefined;
  memoryMb?: number | undefined;
  skipPrePost?: boolean | undefined;
  /** Key under which the archive for COPY was put aside. */
  archive?: string | undefined;
};

/**
 * Queues the build of a template that every team may use then; answers while it is `pending`. `invalid` for a name, a
 * recipe or a health check that is none (platform R412), `template_not_found` for its base, which must be a template of
 * the platform, and `template_name_taken` (R421).
 */
export async function createBuild(ctx: Ctx, wish: BuildWish): Promise<Build> {
  demand(ctx.actor, "platform:admin");
  const { name, baseTemplate = MINIMAL } = wish;
  demandTemplateName(name);
  demandTemplateName(baseTemplate);
  const spec = specOf(wish);
  const base = await findUsableTemplate(ctx.db, PLATFORM_TEAM, baseTemplate);
  if (!base) throw new Fault("template_not_found", `the platform has no template ${baseTemplate}`);
  sizesOf({ vcpus: wish.vcpus, memoryMb: wish.memoryMb } as Parameters<typeof sizesOf>[0], base, ctx.sandboxLimits);
  if (await findUsableTemplate(ctx.db, PLATFORM_TEAM, name)) {
    throw new Fault("template_name_taken", `there is a template ${name} already`);
  }
  const build: Build = {
    ...{ id: ctx.newId("build"), name, baseTemplate, status: "pending", error: null, sandboxId: ctx.newId("sandbox") },
    spec: { ...spec, teamId: ctx.actor.teamId, done: 0 },
    ...{ createdBy: ctx.actor.id, createdAt: ctx.now(), startedAt: null, completedAt: null },
  };
  const entry = audit(inTeam(ctx, PLATFORM_TEAM), "build.created", build.id, { name, baseTemplate });
  await commit(ctx.db, insertBuild(ctx.db, build), entry);
  // The row is durable first: what is cut here is found by the sweep, and begun.
  await ctx.builds.build(build.id).begin(orderOf(build));
  return build;
}

function specOf({ recipe: lines, healthCheck, vcpus, memoryMb, skipPrePost, archive }: BuildWish): BuildSpec {
  const recipe = lines.filter(saysSomething).map((line) => line.trim());
  if (recipe.length === 0) throw new Fault("invalid", "the recipe is empty");
  if (recipe.length > MOST_LINES) throw new Fault("invalid", `a recipe has at most ${MOST_LINES} lines`);
  const check = healthCheck === undefined ? null : parseHealthCheck(healthCheck);
  if (typeof check === "string") throw new Fault("invalid", `the health check is not understood: ${check}`);
  return {
    recipe,
    healthCheck: healthCheck?.trim() ?? null,
    vcpus: vcpus ?? null,
    memoryMb: memoryMb ?? null,
    skipPrePost: skipPrePost ?? false,
    archive: archive ?? null,
  };
}
