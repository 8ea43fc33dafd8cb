import type { AgentErrorCode } from "#protocol/host-agent";

export const CONTAINER_STATUSES = ["running", "paused", "stopped", "wiped"] as const;
export type ContainerStatus = (typeof CONTAINER_STATUSES)[number];

/** What is remembered of a sandbox in a container; its generation fences calls as a host's does. */
export type ContainerState = { generation: number; status: ContainerStatus };

/** What a caller asks of the lifecycle. `alive` says whether the container runs. */
export type ContainerVerb = "start" | "freeze" | "thaw" | "stop" | "wipe";

/**
 * `launch`: start the container with its saved files, or empty ones; `boot`: have the agent inside start the sandbox;
 * `halt`: have it end everything; `stand`: have it stop all processes where they are; `save`: save the files apart from
 * the container; `destroy`: end the container; `forget`: forget the saved files.
 */
export type ContainerStep = "launch" | "boot" | "halt" | "stand" | "save" | "destroy" | "forget";

export type ContainerPlan =
  | { ok: true; steps: ContainerStep[]; after: ContainerState }
  | { ok: false; code: Extract<AgentErrorCode, "stale_generation" | "sandbox_not_running">; message: string };

/** Whether a call under a generation may be answered at all. */
export const isStale = (state: ContainerState | undefined, generation: number): boolean =>
  state !== undefined && generation < state.generation;

/**
 * What to do for a call. Pausing keeps files only: the container ends once they are saved. A container that ended by
 * itself is launched again, with what was last saved.
 */
export function planFor(
  state: ContainerState | undefined,
  verb: ContainerVerb,
  generation: number,
  alive: boolean,
): ContainerPlan {
  if (isStale(state, generation)) {
    return { ok: false, code: "stale_generation", message: "a newer generation of this sandbox is known" };
  }
  const does = (status: ContainerStatus, ...steps: ContainerStep[]): ContainerPlan => ({
    ok: true,
    steps,
    after: { generation, status },
  });
  const isCurrent = state?.generation === generation;
  const isRunning = isCurrent && state.status === "running" && alive;
  const isPaused = isCurrent && state.status === "paused";
  switch (verb) {
    case "start":
      return alive ? does("running", "boot") : does("running", "launch", "boot");
    case "freeze":
      if (isPaused) return alive ? does("paused", "destroy") : does("paused");
      return isRunning ? does("paused", "stand", "save", "destroy") : notRunning();
    case "thaw":
      if (isRunning) return does("running");
      if (!isPaused) return notRunning();
      return alive ? does("running", "destroy", "launch", "boot") : does("running", "launch", "boot");
    case "stop":
      if (!state || state.status === "wiped") return alive ? does("wiped", "destroy") : does("wiped");
      return alive && state.status !== "paused"
        ? does("stopped", "halt", "save", "destroy")
        : does("stopped", ...(alive ? (["destroy"] as const) : []));
    case "wipe":
      return alive ? does("wiped", "destroy", "forget") : does("wiped", "forget");
    default:
      return verb satisfies never;
  }
}

const notRunning = (): ContainerPlan => ({
  ok: false,
  code: "sandbox_not_running",
  message: "this sandbox does not run here",
});
