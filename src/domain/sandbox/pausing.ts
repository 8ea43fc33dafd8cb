import type { EventOf, SandboxState, Step } from "#domain/sandbox/state";
import {
  calm,
  cleanUp,
  go,
  HOST_WAIT_MS,
  PAUSE_DEADLINE_MS,
  RESUME_DEADLINE_MS,
  record,
  settled,
  stay,
  undo,
  type Why,
} from "#domain/sandbox/steps";
import { refuse } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import type { EventReason } from "#protocol/team-feed";

const IDLE: EventReason = "ttl_expired";
const MEMORY_LOST = "its processes were lost with their host; it was started anew with its files";

/** Begins a pause: asked for by somebody, or by the system when the sandbox is idle. Only a running one can pause (R167). */
export function pause(state: SandboxState, { by }: Omit<EventOf<"pause">, "type">, now: number, idle = false): Step {
  const { status, generation } = state;
  if (status !== "running") return refuse("sandbox_not_running", `a ${status} sandbox cannot be paused`);
  const asked = { by: by ?? null, cause: idle ? IDLE : null, deadline: now + PAUSE_DEADLINE_MS };
  const next = { ...calm(state, "pausing"), ...asked };
  return go(next, { type: "freeze", generation, giveUpAt: now + HOST_WAIT_MS });
}

export function paused(state: SandboxState, now: number): Step {
  const { cause } = state;
  return record(go({ ...calm(state, "paused"), frozen: true, cause }), "paused", now);
}

/** The host paused a running sandbox by itself, because it was idle (platform R339). */
export const pausedItself = (state: SandboxState, now: number): Step =>
  paused({ ...state, by: null, cause: IDLE }, now);

/**
 * A pause that failed leaves the sandbox running; the host may have done it all the same, so that is undone. Without an
 * answer of the host nobody knows, so it is missing. An idle one that cannot be paused would run for good: it ends, unless
 * it has a workspace's files.
 */
export function notPaused(state: SandboxState, why: Why, now: number): Step {
  const isIdle = state.cause === IDLE;
  if (why.code === "host_lost") return record(go({ ...settled(state, "missing", why), by: null }), "lost", now);
  if (isIdle && state.disposable) {
    const ended = { ...settled(state, "stopped", why), cause: IDLE };
    return record(cleanUp(ended, "wipe", now), "destroyed", now);
  }
  return go(settled(state, "running", why), undo("thaw", state, now));
}

/** Begins to resume: where its processes stand, or by starting it anew with its files. Only a paused one can (R170). */
export function resume(state: SandboxState, { by }: Pick<EventOf<"resume">, "by">, now: number): Step {
  const { status } = state;
  if (status !== "paused" || state.wiped) return refuse("sandbox_not_running", `a ${status} sandbox cannot be resumed`);
  const next = { ...calm(state, "resuming"), by: by ?? null, deadline: now + RESUME_DEADLINE_MS };
  const giveUpAt = now + HOST_WAIT_MS;
  if (!next.frozen) return bootAnew(next, now);
  return go(next, { type: "thaw", generation: next.generation, giveUpAt });
}

export function resumed(state: SandboxState, now: number): Step {
  const { cause } = state;
  const next = { ...calm(state, "running"), frozen: false, startedAt: state.startedAt ?? now };
  return record(go(cause === null ? next : { ...next, cause, reason: MEMORY_LOST }), "resumed", now);
}

/** The host has its files, but its processes are gone. */
export const memoryLost = (state: SandboxState, now: number): Step =>
  bootAnew({ ...state, cause: "host_failure" }, now);

function bootAnew(state: SandboxState, now: number): Step {
  const generation = state.generation + 1;
  const giveUpAt = now + HOST_WAIT_MS;
  return go({ ...state, generation, frozen: false }, { type: "boot", generation, giveUpAt });
}

/** A resumption that failed leaves the sandbox paused; what the host may have done all the same is undone. */
export function notResumed(state: SandboxState, why: Why, now: number): Step {
  const next = settled(state, "paused", why);
  if (state.frozen) return go(next, undo("freeze", state, now));
  return cleanUp(next, "keep", now);
}

/** A pause or a resumption that took too long. */
export function overdue(state: SandboxState, now: number): Step {
  const isPause = state.status === "pausing";
  const seconds = (isPause ? PAUSE_DEADLINE_MS : RESUME_DEADLINE_MS) / SECOND;
  const message = `the sandbox was not ${isPause ? "paused" : "resumed"} within ${seconds} seconds`;
  return (isPause ? notPaused : notResumed)(state, { code: "sandbox_failed", message }, now);
}

/** Answers for a running or pausing one whose host says that it stands still: lets it go on, unless that was asked for. */
export const standsStill = (state: SandboxState, now: number): Step =>
  state.status === "running" ? go(state, undo("thaw", state, now)) : stay(state);
