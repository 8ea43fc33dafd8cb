import { type HealthCheck, parseHealthCheck } from "#domain/build/health-check";
import { type Instruction, parseInstruction } from "#domain/build/recipe";
import { MINUTE } from "#kernel/time";

export const BUILD_PHASES = ["pre-build", "recipe", "post-build"] as const;
export type BuildPhase = (typeof BUILD_PHASES)[number];

/** What was asked for, as it is kept. */
export type BuildSpec = {
  recipe: string[];
  healthCheck: string | null;
  vcpus: number | null;
  memoryMb: number | null;
  /** True leaves the steps out that every build begins and ends with. */
  skipPrePost: boolean;
  /** Key of the archive that COPY takes from; null without one. */
  archive: string | null;
};

export type BuildWork = Instruction | { type: "unpack"; key: string } | { type: "health"; check: HealthCheck };
/** `cmd` is what the log shows. */
export type BuildStep = { phase: BuildPhase; cmd: string; work: BuildWork };

/** Time that a step before or after the recipe has (platform R417). */
const AROUND_TIMEOUT_MS = 10 * MINUTE;
const run = (phase: BuildPhase, command: string): BuildStep => ({
  phase,
  cmd: `RUN ${command}`,
  work: { type: "run", command, timeoutMs: AROUND_TIMEOUT_MS },
});

/** Tells in the log what the build stands on. */
const BEFORE = "uname -sm && df -h . | tail -n 1";
/** What package managers keep for the next time only makes a template larger. */
const AFTER = 'rm -rf "$HOME/.cache" "$HOME/.npm/_cacache" && sync';

/** All steps of a build, in order. The health check comes last: the template is taken right after it. Pure. */
export function planOf({ recipe, healthCheck, skipPrePost, archive }: BuildSpec): BuildStep[] {
  const check = healthCheck === null ? null : parseHealthCheck(healthCheck);
  return [
    ...(skipPrePost ? [] : [run("pre-build", BEFORE)]),
    ...(archive === null
      ? []
      : [{ phase: "pre-build", cmd: "UNPACK archive", work: { type: "unpack", key: archive } } as const]),
    ...recipe.map((cmd): BuildStep => ({ phase: "recipe", cmd, work: parseInstruction(cmd) })),
    ...(skipPrePost ? [] : [run("post-build", AFTER)]),
    ...(check === null || typeof check === "string" ? [] : [healthStep(healthCheck ?? "", check)]),
  ];
}

const healthStep = (line: string, check: HealthCheck): BuildStep => ({
  phase: "post-build",
  cmd: `HEALTHCHECK ${line}`,
  work: { type: "health", check },
});
