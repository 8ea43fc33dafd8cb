import type { Initiator } from "#domain/sandbox/initiator";
import type { SandboxNews } from "#domain/sandbox/news";
import type { RunsOn } from "#domain/sandbox/ports";
import type { SandboxStatus } from "#domain/sandbox/status";
import type { FaultCode, Result } from "#kernel/fault";
import type { EventReason } from "#protocol/team-feed";

export type SandboxState = {
  status: SandboxStatus;
  /** Why the sandbox is where it is, in words for people; null when all is well. */
  reason: string | null;
  /** The fault that a caller who waited for a start is told. */
  fault: FaultCode | null;
  /** The lease: grows with every life and every stop, and whatever carries an older one is ignored on both sides. */
  generation: number;
  /** Where the sandbox was placed. It stays there, because its files do; only the host's address may change. */
  hostId: string | null;
  address: string | null;
  /** When the transition under way is given up, in milliseconds; null while nothing is under way. */
  deadline: number | null;
  /** True once its files are deleted, or about to be; such a sandbox never starts again. */
  wiped: boolean;
  startedAt: number | null;
  /** Who asked for what is under way or was done last; null when that was the system. */
  by: Initiator | null;
  /** Why the system did it by itself; null otherwise. */
  cause: EventReason | null;
  /** True while its host holds a paused or resuming one and can let it go on; false when only its files are left. */
  frozen: boolean;
  /** What runs it, as its machine told when it started. */
  machine: RunsOn | null;
  /** True when no workspace has its files there: then a failure that leaves nothing to go on with is its end. */
  disposable: boolean;
};

export type SandboxEvent =
  | { type: "start" }
  | { type: "placed"; generation: number; hostId: string; address: string }
  | { type: "not_placed"; generation: number; code: FaultCode; message: string }
  | { type: "booted"; generation: number; machine: RunsOn | null }
  /** Something that takes long goes on. */
  | { type: "progress"; generation: number; message: string }
  | { type: "not_booted"; generation: number; code: FaultCode; message: string }
  | { type: "pause"; by?: Initiator | undefined }
  | { type: "frozen"; generation: number }
  | { type: "not_frozen"; generation: number; code: FaultCode; message: string }
  | { type: "resume"; by?: Initiator | undefined }
  | { type: "thawed"; generation: number }
  | { type: "not_thawed"; generation: number; code: FaultCode; message: string }
  /** Its host paused it by itself. */
  | { type: "self_paused"; generation: number }
  /** Its host does not answer. */
  | { type: "silent"; generation: number; message: string }
  /** Its host does not run it any more; `files` tells whether it has its files. */
  | { type: "ended"; generation: number; message: string; files: boolean }
  /** Its host gave it up. */
  | { type: "crashed"; generation: number; message: string }
  | { type: "found"; generation: number; frozen: boolean }
  | { type: "stop"; files: Files; by?: Initiator | undefined }
  | { type: "halted"; generation: number }
  /** `idleAt` is when a running sandbox was not used for as long as it may; null for never. */
  | { type: "tick"; idleAt: number | null };

export type Files = "keep" | "wipe";
export type EventOf<T extends SandboxEvent["type"]> = Extract<SandboxEvent, { type: T }>;

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
      /** True for what was tried and did not work. */
      failed?: boolean;
      by?: Initiator;
      news?: SandboxNews;
    }
  /** Finds the host, reports it as `placed`, and starts the sandbox there. Waits for a silent host until `giveUpAt`. */
  | { type: "boot"; generation: number; giveUpAt: number }
  /** Stops all its processes where they are, or lets them go on. Repeated while the host is silent, until `giveUpAt`. */
  | { type: "freeze" | "thaw"; generation: number; giveUpAt: number }
  /** Repeated until the host answers, also after the machine stopped waiting, but no longer than `giveUpAt`. */
  | { type: "halt"; generation: number; hostId: string; files: Files; giveUpAt: number };

/** An effect on the machine that runs the sandbox, as opposed to one on the directory. */
export type DriverEffect = Extract<SandboxEffect, { type: "boot" | "freeze" | "thaw" | "halt" }>;
export type DirectoryEffect = Exclude<SandboxEffect, DriverEffect>;

export const isForDriver = (effect: SandboxEffect): effect is DriverEffect =>
  effect.type === "boot" || effect.type === "freeze" || effect.type === "thaw" || effect.type === "halt";

export type Step = Result<{ state: SandboxState; effects: SandboxEffect[] }>;

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
  cause: null,
  frozen: false,
  machine: null,
  disposable: false,
};

/** Statuses from which asking for the sandbox starts it: never started, lost by its host, or failed to start. */
export const isCold = ({ status }: Pick<SandboxState, "status">): boolean =>
  status === "pending" || status === "missing" || status === "error";

const MOVING: readonly SandboxStatus[] = ["starting", "pausing", "resuming", "stopping"];

/** True while a transition is under way. */
export const isMoving = ({ status }: Pick<SandboxState, "status">): boolean => MOVING.includes(status);
