import { z } from "zod";
import type { BuildWish } from "#domain/build/create-build";
import type { BuildView } from "#domain/build/get-build";
import { BUILD_STATUSES } from "#domain/build/machine";
import { BUILD_PHASES } from "#domain/build/plan";
import { iso } from "#kernel/time";

export const CreateBuildBody = z.object({
  name: z.string().describe("Name of the template, which every team may use then."),
  base_template: z.string().optional().describe("A template of the platform to begin with; `minimal` by default."),
  recipe: z.array(z.string()).describe("One instruction a line, in order. Empty lines and comments are passed over."),
  healthcheck: z
    .string()
    .optional()
    .describe(
      "`[--interval=3s] [--timeout=10s] [--start-period=0] [--retries=0] command`, repeated until it succeeds.",
    ),
  vcpus: z.int().optional(),
  memory_mb: z.int().optional(),
  skip_pre_post: z.boolean().optional().describe("Leaves out what every build begins and ends with."),
});

const LogEntry = z.object({
  step: z.int(),
  phase: z.enum(BUILD_PHASES),
  cmd: z.string(),
  stdout: z.string(),
  stderr: z.string(),
  exit: z.int().nullable().describe("Null while it runs, and for what is no command."),
  ok: z.boolean().nullable(),
  elapsed_ms: z.int(),
});

export const Build = z
  .object({
    id: z.string(),
    name: z.string(),
    base_template: z.string(),
    recipe: z.array(z.string()),
    healthcheck: z.string().optional(),
    vcpus: z.int().nullable(),
    memory_mb: z.int().nullable(),
    status: z.enum(BUILD_STATUSES),
    current_step: z.int().describe("The step under way, counted from 1, or the last one that ended well."),
    total_steps: z.int(),
    logs: z.array(LogEntry),
    error: z.string().optional(),
    sandbox_id: z.string().optional(),
    host_id: z.string().optional(),
    default_user: z.string(),
    default_env: z.record(z.string(), z.string()),
    created_at: z.iso.datetime(),
    started_at: z.iso.datetime().optional(),
    completed_at: z.iso.datetime().optional(),
  })
  .meta({ id: "Build" });

/** What the events of a build's log carry, by their names. */
export const BuildLogEvent = z
  .object({
    step: z.int().optional(),
    phase: z.enum(BUILD_PHASES).optional(),
    cmd: z.string().optional(),
    stream: z.enum(["stdout", "stderr"]).optional(),
    text: z.string().optional(),
    exit: z.int().nullable().optional(),
    ok: z.boolean().optional(),
    elapsed_ms: z.int().optional(),
    status: z.enum(BUILD_STATUSES).optional(),
    error: z.string().optional(),
  })
  .meta({ id: "BuildLogEvent" });

export const fromBuildBody = (body: z.output<typeof CreateBuildBody>): BuildWish => ({
  ...{ name: body.name, baseTemplate: body.base_template, recipe: body.recipe, healthCheck: body.healthcheck },
  ...{ vcpus: body.vcpus, memoryMb: body.memory_mb, skipPrePost: body.skip_pre_post },
});

export const toBuild = (build: BuildView): z.input<typeof Build> => ({
  id: build.id,
  name: build.name,
  base_template: build.baseTemplate,
  recipe: build.spec.recipe,
  ...(build.spec.healthCheck !== null && { healthcheck: build.spec.healthCheck }),
  vcpus: build.spec.vcpus,
  memory_mb: build.spec.memoryMb,
  status: build.status,
  current_step: build.currentStep,
  total_steps: build.totalSteps,
  logs: build.log.map(({ elapsedMs, ...entry }) => ({ ...entry, elapsed_ms: elapsedMs })),
  ...(build.error !== null && { error: build.error }),
  ...(build.sandboxId !== null && { sandbox_id: build.sandboxId }),
  ...(build.hostId !== null && { host_id: build.hostId }),
  default_user: build.user ?? "",
  default_env: build.env,
  created_at: iso(build.createdAt),
  ...(build.startedAt !== null && { started_at: iso(build.startedAt) }),
  ...(build.completedAt !== null && { completed_at: iso(build.completedAt) }),
});
