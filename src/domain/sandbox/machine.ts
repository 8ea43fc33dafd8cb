import {
  memoryLost,
  notPaused,
  notResumed,
  overdue,
  pause,
  paused,
  pausedItself,
  resume,
  resumed,
  standsStill,
} from "#domain/sandbox/pausing";
import {
  type EventOf,
  isCold,
  isMoving,
  type SandboxEffect,
  type SandboxEvent,
  type SandboxState,
  type Step,
} from "#domain/sandbox/state";
import {
  BOOT_DEADLINE_MS,
  calm,
  cleanUp,
  go,
  HALT_DEADLINE_MS,
  HOST_WAIT_MS,
  record,
  settled,
  stay,
  type Why,
} from "#domain/sandbox/steps";
import { refuse } from "#kernel/fault";
import { SECOND } from "#kernel/time";

/**
 * The whole lifecycle of a sandbox. No clock, storage or network: `now` is an argument. Answers of drivers carry the
 * generation they were asked for; those of an older one change nothing. A sandbox whose host lost it keeps its place
 * and is started there again: at once when it has no workspace, else when it is next needed.
 */
export function step(state: SandboxState, event: SandboxEvent, now: number): Step {
  if ("generation" in event && event.generation !== state.generation) return stay(state);
  const { status } = state;
  const isBooting = status === "starting" || (status === "resuming" && !state.frozen);
  switch (event.type) {
    case "start":
      return start(state, now);
    case "placed":
      if (!isMoving(state) && status !== "running" && status !== "paused") return stay(state);
      if (state.hostId === event.hostId && state.address === event.address) return stay(state);
      return go({ ...state, hostId: event.hostId, address: event.address });
    case "not_placed":
    case "not_booted":
      return isBooting ? notBooted(state, event, now) : stay(state);
    case "progress":
      return isBooting ? go({ ...state, reason: event.message, deadline: now + BOOT_DEADLINE_MS }) : stay(state);
    case "booted":
      return isBooting ? booted(state, event, now) : stay(state);
    case "pause":
      return pause(state, event, now);
    case "frozen":
      return status === "pausing" ? paused(state, now) : stay(state);
    case "not_frozen":
      return status === "pausing" ? notPaused(state, event, now) : stay(state);
    case "resume":
      return resume(state, event, now);
    case "thawed":
      return status === "resuming" && state.frozen ? resumed(state, now) : stay(state);
    case "not_thawed":
      return status === "resuming" && state.frozen ? notResumed(state, event, now) : stay(state);
    case "self_paused":
      if (status === "pausing") return paused(state, now);
      return status === "running" ? pausedItself(state, now) : stay(state);
    case "silent":
      if (status !== "running") return stay(state);
      return lost(state, event.message, now);
    case "ended":
      return ended(state, event, now);
    case "crashed":
      return crashed(state, event.message, now);
    case "found":
      if (event.frozen) return status === "missing" ? paused({ ...state, by: null }, now) : standsStill(state, now);
      return status === "missing" ? record(go(running(state, now)), "found", now) : stay(state);
    case "stop":
      return stop(state, event, now);
    case "halted":
      return status === "stopping" ? go({ ...calm(state, "stopped"), cause: state.cause }) : stay(state);
    case "tick":
      return tick(state, event, now);
    default:
      return event satisfies never;
  }
}

/** False once the machine has moved on, so that a driver which keeps failing does not hold up what is queued behind it. */
export function stillWanted(effect: SandboxEffect, state: SandboxState): boolean {
  if (!("generation" in effect)) return true;
  if (effect.generation !== state.generation) return false;
  const { status, frozen } = state;
  if (effect.type === "boot") return status === "starting" || (status === "resuming" && !frozen);
  if (effect.type === "freeze") return status === "pausing" || (status === "paused" && frozen);
  if (effect.type === "thaw") return status === "running" || (status === "resuming" && frozen);
  return status !== "starting";
}

function start(state: SandboxState, now: number): Step {
  const { status } = state;
  if (status === "starting" || status === "running") return stay(state);
  if ((!isCold(state) && status !== "stopped") || state.wiped) {
    return refuse("sandbox_not_running", `a ${status} sandbox cannot be started`);
  }
  return boot({ ...calm(state, "starting"), by: null }, now);
}

function boot(state: SandboxState, now: number): Step {
  const generation = state.generation + 1;
  const next = { ...state, generation, frozen: false, deadline: now + BOOT_DEADLINE_MS };
  return go(next, { type: "boot", generation, giveUpAt: now + HOST_WAIT_MS });
}

const running = (state: SandboxState, now: number): SandboxState => ({
  ...calm(state, "running"),
  by: null,
  frozen: false,
  startedAt: state.startedAt ?? now,
});

function booted(state: SandboxState, { machine }: EventOf<"booted">, now: number): Step {
  const next = { ...state, machine };
  return state.status === "resuming" ? resumed(next, now) : record(go(running(next, now)), "started", now);
}

/**
 * A start that failed. One that was asked for again and again may find another host, or its own again, later; the
 * creation of a sandbox without a workspace fails for good.
 */
function notBooted(state: SandboxState, { type, ...why }: { type: SandboxEvent["type"] } & Why, now: number): Step {
  if (state.status === "resuming") return notResumed(state, why, now);
  const isCreation = state.disposable && state.startedAt === null;
  if (!isCreation && type === "not_placed") return go(settled(state, state.hostId ? "missing" : "pending", why));
  if (!isCreation && why.code === "host_lost") return go(settled(state, "missing", why));
  return failed(state, why, now);
}

/**
 * The end of a sandbox that has no workspace; any other keeps its files and is started again when it is next needed. With
 * `unsure` the host may still have it, or start it later.
 */
function failed(state: SandboxState, why: Why, now: number, { unsure = false } = {}): Step {
  const next = settled(state, "error", why);
  if (!state.disposable) return record(unsure ? cleanUp(next, "keep", now) : go(next), "failed", now);
  const cause = state.startedAt === null ? ("cleanup_after_create_error" as const) : null;
  return record(cleanUp({ ...next, cause }, "wipe", now), "failed", now);
}

const lost = (state: SandboxState, message: string, now: number): Step =>
  record(go({ ...settled(state, "missing", { code: "host_lost", message }), by: null }), "lost", now);

function ended(state: SandboxState, { message, files }: EventOf<"ended">, now: number): Step {
  const { status } = state;
  if (status === "resuming" && state.frozen) {
    if (files || !state.disposable) return memoryLost(state, now);
    return failed({ ...state, by: null }, { code: "sandbox_failed", message }, now);
  }
  if (status === "paused" && state.frozen) return go({ ...state, frozen: false });
  if (status !== "running" && status !== "pausing" && status !== "missing") return stay(state);
  const known = { ...state, by: null };
  if (!state.disposable) return status === "missing" ? stay(state) : lost(known, message, now);
  if (files) return record(boot(settled(known, "starting", { code: "host_lost", message }), now), "lost", now);
  const over = { ...settled(known, "stopped", { code: "host_lost", message }), cause: "host_failure" as const };
  return record(cleanUp(over, "wipe", now), "destroyed", now);
}

function crashed(state: SandboxState, message: string, now: number): Step {
  const isLive = ["starting", "running", "pausing", "missing"].includes(state.status);
  return isLive ? failed({ ...state, by: null }, { code: "sandbox_failed", message }, now) : stay(state);
}

function stop(state: SandboxState, { files, by }: EventOf<"stop">, now: number): Step {
  const wiped = state.wiped || files === "wipe";
  const { status, hostId } = state;
  const isOver = status === "stopping" || status === "stopped" || (status === "error" && state.wiped);
  if (isOver && wiped === state.wiped) return stay(state);
  const what = wiped ? "destroyed" : "stopped";
  const asked = { ...calm(state, hostId ? "stopping" : "stopped"), by: by ?? null };
  const deadline = hostId ? now + HALT_DEADLINE_MS : null;
  return record(cleanUp({ ...asked, deadline }, wiped ? "wipe" : "keep", now), what, now);
}

/** Whatever is due: a transition that took too long, or the pause of an idle sandbox. */
function tick(state: SandboxState, { idleAt }: EventOf<"tick">, now: number): Step {
  const { status, deadline } = state;
  if (status === "running" && idleAt !== null && now >= idleAt) return pause(state, {}, now, true);
  if (deadline === null || now < deadline) return stay(state);
  if (status === "pausing" || status === "resuming") return overdue(state, now);
  // The host may still hold something of the sandbox, so the halt stays queued until it answers.
  if (status === "stopping") {
    const reason = "the host did not confirm the stop in time";
    return go({ ...calm(state, "stopped"), reason, cause: state.cause ?? "host_failure" });
  }
  const message = `the sandbox did not start within ${BOOT_DEADLINE_MS / SECOND} seconds`;
  return failed(state, { code: "sandbox_failed", message }, now, { unsure: true });
}
