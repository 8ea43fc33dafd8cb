import type { Files, SandboxEffect, SandboxState, Step } from "#domain/sandbox/state";
import type { SandboxStatus } from "#domain/sandbox/status";
import { type FaultCode, ok } from "#kernel/fault";
import { DAY, SECOND } from "#kernel/time";

/** How long each transition may take in all. Where a pause saves files, it takes as long as their way out. */
export const BOOT_DEADLINE_MS = 90 * SECOND;
export const PAUSE_DEADLINE_MS = 150 * SECOND;
export const RESUME_DEADLINE_MS = 150 * SECOND;
export const HALT_DEADLINE_MS = 30 * SECOND;
/** How long a transition waits for a host that does not answer, which is how long a host agent may take to restart. */
export const HOST_WAIT_MS = 15 * SECOND;
/** How long a host that is gone is told again what it must do. */
const GIVE_UP_MS = DAY;

export type Why = { code: FaultCode; message: string };

export const stay = (state: SandboxState): Step => ok({ state, effects: [] });

export const go = (state: SandboxState, ...drivers: SandboxEffect[]): Step =>
  ok({ state, effects: [{ type: "publish" }, ...drivers] });

/** The state without what its last transition left. */
export const calm = (state: SandboxState, status: SandboxStatus): SandboxState => ({
  ...state,
  status,
  reason: null,
  fault: null,
  cause: null,
  deadline: null,
});

export const settled = (state: SandboxState, status: SandboxStatus, { code, message }: Why): SandboxState => ({
  ...calm(state, status),
  reason: message,
  fault: code,
});

/** Audits a change: once, because it is part of the step that makes it. */
export function record(step: Step, what: string, at: number): Step {
  if (!step.ok) return step;
  const { state, effects } = step.value;
  const reason = state.reason ?? state.cause;
  const entry = { type: "record", action: `sandbox.${what}`, at, reason, ...(state.by && { by: state.by }) } as const;
  return ok({ state, effects: [...effects, entry] });
}

/** Tells the host, under a newer lease, to end whatever it still holds of the sandbox; nobody waits for it. */
export function cleanUp(state: SandboxState, files: Files, now: number): Step {
  const { hostId } = state;
  const wiped = state.wiped || files === "wipe";
  const generation = state.generation + 1;
  const next = { ...state, generation, wiped, frozen: false };
  if (!hostId) return go(next);
  return go(next, { type: "halt", generation, hostId, files: wiped ? "wipe" : "keep", giveUpAt: now + GIVE_UP_MS });
}

/** An effect that makes good what a lost answer may have left done at the host; nobody waits for it. */
export const undo = (type: "freeze" | "thaw", { generation }: SandboxState, now: number): SandboxEffect => ({
  type,
  generation,
  giveUpAt: now + GIVE_UP_MS,
});
