import type { Initiator } from "#domain/sandbox/initiator";
import type { SandboxNews } from "#domain/sandbox/news";
import type { SandboxStatus } from "#domain/sandbox/status";
import { type FaultCode, ok, type Result, refuse } from "#kernel/fault";
import { DAY, SECOND } from "#kernel/time";

/** How long a start may take in all, and a stop until it is reported as done. */
export const BOOT_DEADLINE_MS = 90 * SECOND;
export const HALT_DEADLINE_MS = 30 * SECOND;
/** How long a start waits for a host that does not answer, which is how long a host agent may take to restart. */
const HOST_WAIT_MS = 15 * SECOND;
/** How long a halt is repeated at a host that is gone. */
const HALT_GIVE_UP_MS = DAY;

type Files = "keep" | "wipe";

export type SandboxState = {
  status: SandboxStatus;
  /** Why the sandbox is where it is, in words for people; null when all is well. */
  reason: string | null;
  /** The fault that a caller who waited for a start is told. */
  fault: FaultCode | null;
  /** The lease: grows with every start and stop, and whatever carries an older one is ignored on both sides. */
  generation: number;
  /** Where the sandbox was placed. It stays there, because its files do; only the host's address may change. */
  hostId: string | null;
  address: string | null;
  /** When the transition under way is given up, in milliseconds; null while nothing is under way. */
  deadline: number | null;
  /** True once a stop asked for the files to be deleted; such a sandbox never starts again. */
  wiped: boolean;
  startedAt: number | null;
  /** Who asked for what is under way or was done last; null when that was the system. */
  by: Initiator | null;
};

export type SandboxEvent =
  | { type: "start" }
  | { type: "placed"; generation: number; hostId: string; address: string }
  | { type: "not_placed"; generation: number; code: FaultCode; message: string }
  | { type: "booted"; generation: number }
  | { type: "not_booted"; generation: number; code: FaultCode; message: string }
  | { type: "lost"; generation: number; message: string }
  | { type: "found"; generation: number }
  | { type: "stop"; files: Files; by?: Initiator }
  | { type: "halted"; generation: number }
  | { type: "tick" };

/** Work the shell must do after the new state is durable. Every effect is safe to repeat. */
export type SandboxEffect =
  /** Writes the newest state to the directory. */
  | { type: "publish" }
  /** Tells live readers of a change of status. */
  | { type: "tell"; from: SandboxStatus; to: SandboxStatus; at: number }
  /** Writes one audit entry, an event, or both at once; in the name of the system unless somebody asked for it. */
  | {
      type: "record";
      action: `sandbox.${string}` | null;
      at: number;
      reason: string | null;
      by?: Initiator;
      news?: SandboxNews;
    }
  /** Finds the host, reports it as `placed`, and starts the sandbox there. Waits for a silent host until `waitUntil`. */
  | { type: "boot"; generation: number; waitUntil: number }
  /** Repeated until the host answers, also after the machine stopped waiting, but no longer than `giveUpAt`. */
  | { type: "halt"; generation: number; hostId: string; files: Files; giveUpAt: number };

/** An effect on the machine that runs the sandbox, as opposed to one on the directory. */
export type DriverEffect = Extract<SandboxEffect, { type: "boot" | "halt" }>;
export type DirectoryEffect = Exclude<SandboxEffect, DriverEffect>;

type Step = Result<{ state: SandboxState; effects: SandboxEffect[] }>;

export const initialSandbox: SandboxState = {
  status: "pending",
  reason: null,
  fault: null,
  generation: 0,
  hostId: null,
  address: null,
  deadline: null,
  wiped: false,
  startedAt: null,
  by: null,
};

/** Statuses from which asking for the sandbox starts it: never started, lost by its host, or failed to start. */
export const isCold = ({ status }: SandboxState): boolean =>
  status === "pending" || status === "missing" || status === "error";

/** True while a start or stop is under way. */
export const isMoving = ({ status }: SandboxState): boolean => status === "starting" || status === "stopping";

/**
 * The whole lifecycle of a sandbox. No clock, storage or network: `now` is an argument. Answers of drivers carry the
 * generation they were asked for; those of an older one change nothing. A sandbox whose host lost it keeps its place
 * and is started there again when it is next needed.
 */
export function step(state: SandboxState, event: SandboxEvent, now: number): Step {
  if ("generation" in event && event.generation !== state.generation) return stay(state);
  switch (event.type) {
    case "start":
      return start(state, now);
    case "placed":
      if (state.status !== "starting") return stay(state);
      if (state.hostId === event.hostId && state.address === event.address) return stay(state);
      return go({ ...state, hostId: event.hostId, address: event.address });
    case "not_placed":
      if (state.status !== "starting") return stay(state);
      return settle(state, state.hostId ? "missing" : "pending", event);
    case "booted":
      return state.status === "starting" ? record(go(running(state, now)), "started", now) : stay(state);
    case "not_booted":
      if (state.status !== "starting") return stay(state);
      if (event.code === "host_lost") return settle(state, "missing", event);
      return record(settle(state, "error", event), "failed", now);
    case "lost":
      if (state.status !== "running") return stay(state);
      return record(settle(state, "missing", { code: "host_lost", message: event.message }), "lost", now);
    case "found":
      return state.status === "missing" ? record(go(running(state, now)), "found", now) : stay(state);
    case "stop":
      return stop(state, event, now);
    case "halted":
      return state.status === "stopping" ? go(calm(state, "stopped")) : stay(state);
    case "tick":
      return tick(state, now);
    default:
      return event satisfies never;
  }
}

/** False once the machine has moved on, so that a driver which keeps failing does not hold up what is queued behind it. */
export function stillWanted(effect: SandboxEffect, state: SandboxState): boolean {
  if (effect.type !== "boot" && effect.type !== "halt") return true;
  if (effect.generation !== state.generation) return false;
  return effect.type === "halt" ? state.status !== "starting" : state.status === "starting";
}

function start(state: SandboxState, now: number): Step {
  const { status, generation } = state;
  if (status === "starting" || status === "running") return stay(state);
  if ((!isCold(state) && status !== "stopped") || state.wiped) {
    return refuse("sandbox_not_running", `a ${status} sandbox cannot be started`);
  }
  const next = { ...calm(state, "starting"), by: null, generation: generation + 1, deadline: now + BOOT_DEADLINE_MS };
  return go(next, { type: "boot", generation: next.generation, waitUntil: now + HOST_WAIT_MS });
}

const running = (state: SandboxState, now: number): SandboxState => ({
  ...calm(state, "running"),
  by: null,
  startedAt: state.startedAt ?? now,
});

function stop(state: SandboxState, { files, by }: Extract<SandboxEvent, { type: "stop" }>, now: number): Step {
  const wiped = state.wiped || files === "wipe";
  const { status, hostId } = state;
  if (status === "stopping" && wiped === state.wiped) return stay(state);
  if (status === "stopped" && wiped === state.wiped) return stay(state);
  const generation = state.generation + 1;
  const asked = { generation, wiped, by: by ?? null };
  const what = wiped ? "destroyed" : "stopped";
  if (!hostId) return record(go({ ...calm(state, "stopped"), ...asked }), what, now);
  const next = { ...calm(state, "stopping"), ...asked, deadline: now + HALT_DEADLINE_MS };
  const giveUpAt = now + HALT_GIVE_UP_MS;
  return record(go(next, { type: "halt", generation, hostId, files: wiped ? "wipe" : "keep", giveUpAt }), what, now);
}

/** A deadline that passed. The host may still hold something of the sandbox, so the halt stays queued until it answers. */
function tick(state: SandboxState, now: number): Step {
  const { status, hostId, deadline } = state;
  if (deadline === null || now < deadline) return stay(state);
  if (status === "stopping") {
    return go({ ...calm(state, "stopped"), reason: "the host did not confirm the stop in time" });
  }
  const message = `the sandbox did not start within ${BOOT_DEADLINE_MS / SECOND} seconds`;
  const failed = { ...calm(state, "error"), reason: message, fault: "sandbox_failed" as const };
  if (!hostId) return record(go(failed), "failed", now);
  const generation = state.generation + 1;
  const halt = { type: "halt", generation, hostId, files: "keep", giveUpAt: now + HALT_GIVE_UP_MS } as const;
  return record(go({ ...failed, generation }, halt), "failed", now);
}

const calm = (state: SandboxState, status: SandboxStatus): SandboxState => ({
  ...state,
  status,
  reason: null,
  fault: null,
  deadline: null,
});

const settle = (state: SandboxState, status: SandboxStatus, why: { code: FaultCode; message: string }): Step =>
  go({ ...calm(state, status), reason: why.message, fault: why.code });

const go = (state: SandboxState, ...drivers: SandboxEffect[]): Step =>
  ok({ state, effects: [{ type: "publish" }, ...drivers] });

const stay = (state: SandboxState): Step => ok({ state, effects: [] });

/** Audits a change: once, because it is part of the step that makes it. */
function record(step: Step, what: string, at: number): Step {
  if (!step.ok) return step;
  const { state, effects } = step.value;
  const { reason, by } = state;
  const entry = { type: "record", action: `sandbox.${what}`, at, reason, ...(by && { by }) } as const;
  return ok({ state, effects: [...effects, entry] });
}
