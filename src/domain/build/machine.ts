import { ok, type Result, refuse } from "#kernel/fault";
import { HOUR } from "#kernel/time";
import type { StartCommand } from "#protocol/host-agent";
import { BUILD_STATUSES } from "#schema";

export { BUILD_STATUSES };

export type BuildStatus = (typeof BUILD_STATUSES)[number];

/** Time that a build has in all, from its creation on. */
export const BUILD_DEADLINE_MS = 8 * HOUR;

export type BuildState = {
  status: BuildStatus;
  /** Why it failed, in words for people. */
  error: string | null;
  /** How many steps have ended well; the next one has this number, counted from 0. */
  done: number;
  /** How many steps there are. */
  total: number;
  /** When the step under way began; null between two. */
  stepAt: number | null;
  /** True once the command of the step under way is known to run. */
  stepStarted: boolean;
  /** The user and the folder of later steps, and what ENV has set. */
  env: Record<string, string>;
  cwd: string | null;
  user: string | null;
  /** Commands of START, with the folder that was set when each was there. */
  starts: StartCommand[];
  /** Where its sandbox is. */
  hostId: string | null;
  createdAt: number;
  startedAt: number | null;
  completedAt: number | null;
};

/** What a step changes for those after it. */
export type StepEffect = Partial<Pick<BuildState, "cwd" | "user">> & {
  env?: Record<string, string>;
  start?: StartCommand;
};

export type BuildEvent =
  /** Its sandbox runs. */
  | { type: "ready"; hostId: string | null }
  | { type: "step_begun"; step: number }
  | { type: "step_running"; step: number }
  | { type: "step_done"; step: number; changes?: StepEffect }
  | { type: "step_failed"; step: number; message: string }
  /** The template is there. */
  | { type: "taken" }
  | { type: "failed"; message: string }
  | { type: "cancel" }
  | { type: "tick" };

/** Work after the new state is durable; safe to repeat. */
export type BuildEffect =
  | { type: "publish" }
  | { type: "record"; action: "build.succeeded" | "build.failed"; at: number; reason: string | null }
  /** Destroys the sandbox and deletes the archive. */
  | { type: "clean" };

type Step = Result<{ state: BuildState; effects: BuildEffect[] }>;

export const initialBuild = (total: number, createdAt: number): BuildState => ({
  ...{ status: "pending", error: null, done: 0, total, stepAt: null, stepStarted: false },
  ...{ env: {}, cwd: null, user: null, starts: [], hostId: null, createdAt, startedAt: null, completedAt: null },
});

export const isOver = ({ status }: Pick<BuildState, "status">): boolean => status !== "pending" && status !== "running";

/** What is to be done next. */
export type BuildTask = "prepare" | "step" | "take" | "nothing";
export function taskOf(state: BuildState): BuildTask {
  if (isOver(state)) return "nothing";
  if (state.status === "pending") return "prepare";
  return state.done < state.total ? "step" : "take";
}

/**
 * The whole life of a build. No clock, storage or network. What is told of a step other than the one under way changes
 * nothing, nor does anything once the build is over; only a cancellation is then refused (platform R414).
 */
export function step(state: BuildState, event: BuildEvent, now: number): Step {
  if (isOver(state)) {
    return event.type === "cancel" ? refuse("invalid", `the build is over: it is ${state.status}`) : stay(state);
  }
  if ("step" in event && (state.status !== "running" || event.step !== state.done)) return stay(state);
  switch (event.type) {
    case "ready":
      return state.status === "pending"
        ? go({ ...state, status: "running", hostId: event.hostId, startedAt: now })
        : stay(state);
    case "step_begun":
      return state.stepAt === null ? ok({ state: { ...state, stepAt: now }, effects: [] }) : stay(state);
    case "step_running":
      return ok({ state: { ...state, stepStarted: true }, effects: [] });
    case "step_done":
      return go(advance(state, event.changes ?? {}));
    case "step_failed":
      return end(state, "failed", now, event.message);
    case "taken":
      return taskOf(state) === "take" ? end(state, "success", now, null) : stay(state);
    case "failed":
      return end(state, "failed", now, event.message);
    case "cancel":
      return end(state, "cancelled", now, null);
    case "tick":
      if (now < state.createdAt + BUILD_DEADLINE_MS) return stay(state);
      return end(state, "failed", now, `the build did not end within ${BUILD_DEADLINE_MS / HOUR} hours`);
    default:
      return event satisfies never;
  }
}

function advance(state: BuildState, { env = {}, start, ...rest }: StepEffect): BuildState {
  const starts = start === undefined ? state.starts : [...state.starts, start];
  const next = { ...state, ...rest, env: { ...state.env, ...env }, starts };
  return { ...next, done: state.done + 1, stepAt: null, stepStarted: false };
}

function end(state: BuildState, status: BuildStatus, now: number, error: string | null): Step {
  const over = { ...state, status, error, completedAt: now };
  if (status === "cancelled") return go(over, { type: "clean" });
  const action = status === "success" ? "build.succeeded" : "build.failed";
  return go(over, { type: "record", action, at: now, reason: error }, { type: "clean" });
}

const go = (state: BuildState, ...more: BuildEffect[]): Step => ok({ state, effects: [{ type: "publish" }, ...more] });
const stay = (state: BuildState): Step => ok({ state, effects: [] });
