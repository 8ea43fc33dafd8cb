import { type BusyBehavior, MAX_PENDING_RUNS, type TerminalStatus } from "#domain/session/values";
import { ok, type Result, refuse } from "#kernel/fault";

/** How long an aborted loop may unwind before its run is ended without it. */
export const STOP_GRACE_MS = 5_000;
/** Attempts in a row without a stored step after which a run is given up (R10). */
export const MAX_LOST_ATTEMPTS = 3;
/** Pause before a loop that threw is started again, per attempt already lost. */
const RETRY_DELAY_MS = 500;

type ActiveRun = {
  runId: string;
  messageId: string;
  status: "running" | "waiting_tool";
  /** Fencing number: only this attempt of the run may write (R4). */
  attempt: number;
  /** Attempts in a row that ended without a stored step. */
  lost: number;
  /** When the run times out, absolute, so that it holds across restarts (R11). */
  deadline: number | null;
  cancelRequestedAt: number | null;
  /** Set once the loop was told to stop: how the run ends, and when it does at the latest. */
  stopping: { as: "cancelled" | "timed_out"; by: number } | null;
  /** When the next attempt starts, while none is running. */
  retryAt: number | null;
};

/** `position` is the place the run had when it was queued, 0 once it was promoted. */
export type PendingRun = { runId: string; messageId: string; position: number; cancelRequestedAt: number | null };

/** Runs of one session that are not over. Nothing is pending without an active run: the queue always moves on. */
export type SessionState = { active: ActiveRun | null; pending: readonly PendingRun[] };

export const initialSession: SessionState = { active: null, pending: [] };

export type AttemptEnd =
  | { type: "completed" }
  | { type: "failed"; code: string; message: string }
  | { type: "aborted" }
  | { type: "crashed" };

export type SessionMachineEvent =
  | { type: "send"; runId: string; messageId: string; whenBusy: BusyBehavior }
  | { type: "guide"; runId: string }
  | { type: "cancel"; runId: string }
  /** How many tool calls of the active attempt are in flight. */
  | { type: "tools"; inFlight: number }
  /** A step of the active attempt was stored. */
  | { type: "progressed" }
  | { type: "ended"; runId: string; attempt: number; end: AttemptEnd }
  /** The object has an active run and no loop for it: it was restarted. */
  | { type: "resumed" }
  | { type: "tick" };

export type QueueAction = "enqueued" | "promoted" | "dequeued";
export type RunEnd = { status: TerminalStatus; error: { code: string; message: string } | null; lostAttempts: number };

/** What follows from an event, in order. Records and events are stored with the state; loops are touched after it. */
export type SessionEffect =
  | { type: "accepted"; runId: string }
  | { type: "queue"; action: QueueAction; run: PendingRun; pending: readonly PendingRun[] }
  | { type: "cancel_requested"; runId: string }
  | { type: "status"; runId: string; status: "running" | "waiting_tool" }
  | { type: "started"; runId: string; attempt: number }
  | { type: "resumed"; runId: string; attempt: number }
  | { type: "abort"; runId: string; attempt: number }
  | ({ type: "ended"; runId: string } & RunEnd);

export type Limits = { runTimeoutMs: number | null };
export type Stepped = { state: SessionState; effects: SessionEffect[] };

/**
 * The rules of a session's runs (runtime contract, section 12). No clock, storage or loop: `now` is an argument. A
 * state that did not change is returned as the same object.
 */
export function step(state: SessionState, event: SessionMachineEvent, now: number, limits: Limits): Result<Stepped> {
  const stepped = event.type === "send" ? send(state, event, now, limits) : ok(react(state, event, now));
  return stepped.ok ? ok(settle(stepped.value, now, limits)) : stepped;
}

/** The next moment at which a tick changes something, or null. */
export function dueAt({ active }: SessionState): number | null {
  if (!active) return null;
  if (active.stopping) return active.stopping.by;
  const due = [active.deadline, active.retryAt].filter((at) => at !== null);
  return due.length > 0 ? Math.min(...due) : null;
}

function send(
  state: SessionState,
  { runId, messageId, whenBusy }: Extract<SessionMachineEvent, { type: "send" }>,
  now: number,
  limits: Limits,
): Result<Stepped> {
  if (state.pending.length >= MAX_PENDING_RUNS) return refuse("queue_full", "too many messages wait in this session");
  const run: PendingRun = { runId, messageId, position: state.pending.length + 1, cancelRequestedAt: null };
  const accepted: SessionEffect = { type: "accepted", runId };
  if (!state.active) return ok(begin({ state, effects: [accepted] }, run, now, limits));
  const queued = { ...state, pending: [...state.pending, run] };
  if (whenBusy === "interrupt") return ok(prepend([accepted], interrupt(promote(queued, runId), now)));
  return ok({
    state: queued,
    effects: [accepted, { type: "queue", action: "enqueued", run, pending: queued.pending }],
  });
}

function react(state: SessionState, event: Exclude<SessionMachineEvent, { type: "send" }>, now: number): Stepped {
  const { active } = state;
  switch (event.type) {
    case "guide": {
      const run = state.pending.find((pending) => pending.runId === event.runId);
      return run && run.cancelRequestedAt === null ? interrupt(promote(state, run.runId), now) : same(state);
    }
    case "cancel":
      return cancel(state, event.runId, now);
    case "tools": {
      const status = event.inFlight > 0 ? "waiting_tool" : "running";
      if (!active || active.status === status) return same(state);
      return withActive(state, { ...active, status }, { type: "status", runId: active.runId, status });
    }
    case "progressed":
      return active && active.lost > 0 ? withActive(state, { ...active, lost: 0 }) : same(state);
    case "ended":
      if (!active || active.runId !== event.runId || active.attempt !== event.attempt) return same(state);
      return ended(state, active, event.end, now);
    case "resumed":
      if (!active) return same(state);
      if (active.stopping) return finish(state, active, stopped(active.stopping.as));
      if (isOver(active, now)) return finish(state, active, stopped("timed_out"));
      return active.retryAt === null ? lose(state, active, now) : same(state);
    case "tick":
      return tick(state, now);
    default:
      return event satisfies never;
  }
}

function cancel(state: SessionState, runId: string, now: number): Stepped {
  const { active, pending } = state;
  if (active?.runId === runId) return stop(state, active, "cancelled", now);
  const run = pending.find((each) => each.runId === runId);
  if (!run || run.cancelRequestedAt !== null) return same(state);
  const marked = pending.map((each) => (each === run ? { ...run, cancelRequestedAt: now } : each));
  return { state: { ...state, pending: marked }, effects: [{ type: "cancel_requested", runId }] };
}

function ended(state: SessionState, active: ActiveRun, end: AttemptEnd, now: number): Stepped {
  if (active.stopping) return finish(state, active, stopped(active.stopping.as));
  switch (end.type) {
    case "completed":
      return finish(state, active, { status: "completed", error: null, lostAttempts: 0 });
    case "failed":
      return finish(state, active, {
        status: "failed",
        error: { code: end.code, message: end.message },
        lostAttempts: 0,
      });
    case "aborted":
    case "crashed":
      return lose(state, active, now);
    default:
      return end satisfies never;
  }
}

function tick(state: SessionState, now: number): Stepped {
  const { active } = state;
  if (!active) return same(state);
  if (active.stopping)
    return now >= active.stopping.by ? finish(state, active, stopped(active.stopping.as)) : same(state);
  return isOver(active, now) ? stop(state, active, "timed_out", now) : same(state);
}

/** An attempt ended without an outcome: another one later, or the end of the run when too many were lost (R10). */
function lose(state: SessionState, active: ActiveRun, now: number): Stepped {
  const lost = active.lost + 1;
  if (lost < MAX_LOST_ATTEMPTS) {
    return withActive(state, { ...active, lost, status: "running", retryAt: now + RETRY_DELAY_MS * (lost - 1) });
  }
  const message = `the run was given up after ${lost} attempts that stored nothing`;
  return finish(state, active, {
    status: "failed",
    error: { code: "worker_recovery_failed", message },
    lostAttempts: lost,
  });
}

/** Tells the active loop to stop. The first reason stands. */
function stop(state: SessionState, active: ActiveRun, as: "cancelled" | "timed_out", now: number): Stepped {
  const asked: SessionEffect[] = as === "cancelled" ? [{ type: "cancel_requested", runId: active.runId }] : [];
  const cancelRequestedAt = as === "cancelled" ? now : active.cancelRequestedAt;
  if (active.stopping) {
    if (as === "timed_out" || active.cancelRequestedAt !== null) return same(state);
    return withActive(state, { ...active, cancelRequestedAt }, ...asked);
  }
  if (active.retryAt !== null) return prepend(asked, finish(state, active, stopped(as)));
  const stopping = { as, by: now + STOP_GRACE_MS };
  const abort: SessionEffect = { type: "abort", runId: active.runId, attempt: active.attempt };
  return withActive(state, { ...active, cancelRequestedAt, stopping }, ...asked, abort);
}

const stopped = (as: "cancelled" | "timed_out"): RunEnd => ({
  status: as,
  error: as === "timed_out" ? { code: "run_timed_out", message: "the run took longer than it may" } : null,
  lostAttempts: 0,
});

function promote(state: SessionState, runId: string): Stepped {
  const run = state.pending.find((each) => each.runId === runId);
  if (!run) return same(state);
  const head = { ...run, position: 0 };
  const pending = [head, ...state.pending.filter((each) => each !== run)];
  return { state: { ...state, pending }, effects: [{ type: "queue", action: "promoted", run: head, pending }] };
}

function interrupt({ state, effects }: Stepped, now: number): Stepped {
  return state.active ? prepend(effects, stop(state, state.active, "cancelled", now)) : { state, effects };
}

function finish(state: SessionState, active: ActiveRun, end: RunEnd): Stepped {
  return { state: { ...state, active: null }, effects: [{ type: "ended", runId: active.runId, ...end }] };
}

/** Moves the queue on until a run is active or nothing waits, and starts an attempt that is due. */
function settle(stepped: Stepped, now: number, limits: Limits): Stepped {
  let current = stepped;
  for (let run = current.state.pending[0]; run && !current.state.active; run = current.state.pending[0]) {
    const pending = current.state.pending.slice(1);
    const effects: SessionEffect[] = [...current.effects, { type: "queue", action: "dequeued", run, pending }];
    const state = { ...current.state, pending };
    current =
      run.cancelRequestedAt === null
        ? begin({ state, effects }, run, now, limits)
        : { state, effects: [...effects, { type: "ended", runId: run.runId, ...stopped("cancelled") }] };
  }
  const { active } = current.state;
  if (active?.retryAt === null || !active || active.retryAt > now) return current;
  const attempt = active.attempt + 1;
  const next = withActive(
    current.state,
    { ...active, attempt, retryAt: null },
    { type: "resumed", runId: active.runId, attempt },
  );
  return prepend(current.effects, next);
}

function begin({ state, effects }: Stepped, run: PendingRun, now: number, { runTimeoutMs }: Limits): Stepped {
  const active: ActiveRun = {
    runId: run.runId,
    messageId: run.messageId,
    status: "running",
    attempt: 1,
    lost: 0,
    deadline: runTimeoutMs === null ? null : now + runTimeoutMs,
    cancelRequestedAt: null,
    stopping: null,
    retryAt: null,
  };
  return { state: { ...state, active }, effects: [...effects, { type: "started", runId: run.runId, attempt: 1 }] };
}

const isOver = ({ deadline }: ActiveRun, now: number) => deadline !== null && now >= deadline;
const same = (state: SessionState): Stepped => ({ state, effects: [] });
const prepend = (before: SessionEffect[], { state, effects }: Stepped): Stepped => ({
  state,
  effects: [...before, ...effects],
});
const withActive = (state: SessionState, active: ActiveRun, ...effects: SessionEffect[]): Stepped => ({
  state: { ...state, active },
  effects,
});
