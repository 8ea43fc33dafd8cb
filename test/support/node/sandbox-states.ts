import { initialSandbox, type SandboxEvent, type SandboxState } from "#domain/sandbox/state";
import { SANDBOX_STATUSES, type SandboxStatus } from "#domain/sandbox/status";

export const T0 = 1_000_000;
export const G = 7;

/** A sandbox in a status, placed, and with its transition due at `T0` where one is under way. */
export const at = (status: SandboxStatus, more: Partial<SandboxState> = {}): SandboxState => ({
  ...initialSandbox,
  status,
  generation: G,
  hostId: "host_a",
  address: "127.0.0.1:1",
  startedAt: 1,
  deadline: ["starting", "pausing", "resuming", "stopping"].includes(status) ? T0 : null,
  frozen: status === "paused" || status === "resuming",
  ...more,
});

const refused = { generation: G, code: "sandbox_failed", message: "no" } as const;
const silent = { generation: G, code: "host_lost", message: "gone" } as const;

export const EVENTS = {
  start: { type: "start" },
  placed: { type: "placed", generation: G, hostId: "host_a", address: "127.0.0.1:2" },
  not_placed: { type: "not_placed", generation: G, code: "no_hosts_available", message: "none" },
  booted: { type: "booted", generation: G, machine: null },
  "not_booted: refused": { type: "not_booted", ...refused },
  "not_booted: silent": { type: "not_booted", ...silent },
  pause: { type: "pause" },
  frozen: { type: "frozen", generation: G },
  "not_frozen: refused": { type: "not_frozen", ...refused },
  "not_frozen: silent": { type: "not_frozen", ...silent },
  resume: { type: "resume" },
  thawed: { type: "thawed", generation: G },
  "not_thawed: refused": { type: "not_thawed", ...refused },
  "not_thawed: silent": { type: "not_thawed", ...silent },
  self_paused: { type: "self_paused", generation: G },
  silent: { type: "silent", generation: G, message: "gone" },
  "ended: files are there": { type: "ended", generation: G, message: "ended", files: true },
  "ended: nothing is there": { type: "ended", generation: G, message: "ended", files: false },
  crashed: { type: "crashed", generation: G, message: "crashed" },
  "found: running": { type: "found", generation: G, frozen: false },
  "found: paused": { type: "found", generation: G, frozen: true },
  stop: { type: "stop", files: "keep" },
  destroy: { type: "stop", files: "wipe" },
  halted: { type: "halted", generation: G },
  tick: { type: "tick", idleAt: null },
  idle: { type: "tick", idleAt: T0 },
} as const satisfies Record<string, SandboxEvent>;

export type EventName = keyof typeof EVENTS;
export type Outcome = SandboxStatus | "refused";
export type Changes = Record<EventName, Partial<Record<SandboxStatus, Outcome>>>;
type Case = readonly [status: SandboxStatus, name: EventName, to: Outcome, event: SandboxEvent];

/** Every status with every event; what a table does not list stays where it is. */
export const casesOf = (changes: Changes): Case[] =>
  SANDBOX_STATUSES.flatMap((status) =>
    (Object.keys(EVENTS) as EventName[]).map(
      (name): Case => [status, name, changes[name][status] ?? status, EVENTS[name]],
    ),
  );

const all = (to: Outcome, ...except: SandboxStatus[]) =>
  Object.fromEntries(SANDBOX_STATUSES.filter((status) => !except.includes(status)).map((status) => [status, to]));

/** What becomes of a sandbox with a workspace's files. */
export const KEPT: Changes = {
  start: {
    ...{ pending: "starting", missing: "starting", error: "starting", stopped: "starting" },
    ...{ stopping: "refused", pausing: "refused", paused: "refused", resuming: "refused", hibernated: "refused" },
  },
  placed: {},
  not_placed: { starting: "missing" },
  booted: { starting: "running" },
  "not_booted: refused": { starting: "error" },
  "not_booted: silent": { starting: "missing" },
  pause: { ...all("refused", "running"), running: "pausing" },
  frozen: { pausing: "paused" },
  "not_frozen: refused": { pausing: "running" },
  "not_frozen: silent": { pausing: "missing" },
  resume: { ...all("refused", "paused"), paused: "resuming" },
  thawed: { resuming: "running" },
  "not_thawed: refused": { resuming: "paused" },
  "not_thawed: silent": { resuming: "paused" },
  self_paused: { running: "paused", pausing: "paused" },
  silent: { running: "missing" },
  "ended: files are there": { running: "missing", pausing: "missing" },
  "ended: nothing is there": { running: "missing", pausing: "missing" },
  crashed: { starting: "error", running: "error", pausing: "error", missing: "error" },
  "found: running": { missing: "running" },
  "found: paused": { missing: "paused" },
  stop: all("stopping", "stopped"),
  destroy: all("stopping"),
  halted: { stopping: "stopped" },
  tick: { starting: "error", stopping: "stopped", pausing: "running", resuming: "paused" },
  idle: { starting: "error", stopping: "stopped", pausing: "running", resuming: "paused", running: "pausing" },
};

/** What is otherwise for one without a workspace. */
export const DISPOSABLE: Changes = {
  ...KEPT,
  "ended: files are there": { running: "starting", pausing: "starting", missing: "starting" },
  "ended: nothing is there": { running: "stopped", pausing: "stopped", missing: "stopped", resuming: "error" },
};
