import type { ContainerUse } from "#domain/host/place-sandbox";
import type { ProcessLink } from "#domain/process/ports";
import type { Initiator } from "#domain/sandbox/initiator";
import type { SandboxReport } from "#domain/sandbox/report";
import type { SandboxStatus } from "#domain/sandbox/status";
import type { Result } from "#kernel/fault";
import type {
  AgentMetrics,
  MetricPoint,
  MetricTier,
  NetworkPolicy,
  SandboxSetup,
  SandboxSource,
} from "#protocol/host-agent";
import type {
  ExecRequest,
  ExecResult,
  FILE_SORTS,
  FileList,
  FileStat,
  FileTree,
  GlobResult,
} from "#protocol/supervisor";

/** What a sandbox's object knows of it; written once, when the sandbox is created. */
export type SandboxSpec = {
  id: string;
  teamId: string;
  vcpus: number;
  memoryMb: number;
  diskSizeMb: number;
  /** Seconds without activity after which it is paused; 0 for never. */
  timeoutSec: number;
  /** The template whose files it begins with; null for an empty workspace. */
  templateId: string | null;
  /** What its template leaves to run in it; not there until the first start has read it. */
  setup?: SandboxSetup | null;
  /** True when no workspace has its files there, so that it ends for good where it cannot go on. */
  disposable: boolean;
};

/**
 * What runs a sandbox: versions in the machine's own words, whether a pause keeps its memory or its files alone, and what
 * it may reach outside, in words for people.
 */
export type RunsOn = {
  kernel: string;
  agent: string;
  supervisor: string;
  vmm: string;
  pauseMode: "freeze" | "filesystem";
  network: string;
};

export type SandboxView = { status: SandboxStatus; reason: string | null; hostId: string | null; generation: number };

/** Points of one tier, oldest first; `live` is false when they end with a pause. */
export type SandboxMetrics = { points: MetricPoint[]; live: boolean };

/** How to reach a running sandbox: where its host is, and a short-lived token for this sandbox and generation. */
export type SandboxRoute = {
  address: string;
  token: string;
  expiresAt: number;
  generation: number;
  /** True when idleness pauses the sandbox, so that whoever uses a kept route must `touch` it. */
  timed: boolean;
};

export type RouteOptions = {
  /** The generation that the caller could not reach. */
  lost?: number | undefined;
  /** False refuses a sandbox that does not run, with `sandbox_not_running`, instead of starting it. */
  wake?: boolean | undefined;
  /** True for use that does not count as activity, such as of files (platform A32). */
  quiet?: boolean | undefined;
};

/** What the calls of a link may do to the sandbox, as for a route. */
export type LinkOptions = Pick<RouteOptions, "wake" | "quiet">;

/** Where a snapshot is stored: an upload that has begun, to the chunks of a team, or with an empty id the platform's. */
export type SnapshotUpload = { uploadId: string; teamId: string; deadlineMs: number };

/** One sandbox's object: lifecycle and placement. Calls name the caller's team, like a session's. */
export interface SandboxHandle {
  adopt(spec: SandboxSpec): Promise<void>;
  get(teamId: string): Promise<Result<SandboxView>>;
  /** Starts the sandbox and answers when it runs or has failed. */
  start(teamId: string): Promise<Result<SandboxView>>;
  /** Begins to pause a running sandbox, and to resume a paused one; any other is `sandbox_not_running`. */
  pause(teamId: string, by?: Initiator): Promise<Result<SandboxView>>;
  resume(teamId: string, by?: Initiator): Promise<Result<SandboxView>>;
  /** Makes the sandbox known and begins to start it; answers at once. Safe to repeat. */
  begin(spec: SandboxSpec): Promise<Result<SandboxView>>;
  /** `by` is who asks, as the audit entry and the event of it will say; the system when absent. */
  stop(teamId: string, by?: Initiator): Promise<Result<SandboxView>>;
  /** Stops it and deletes its files. Safe to repeat. */
  destroy(teamId: string, by?: Initiator): Promise<Result<SandboxView>>;
  /** Notes activity of a running sandbox, and tells the directory; `sandbox_not_running` of any other. */
  ping(teamId: string): Promise<Result<null>>;
  /**
   * The route to a running sandbox. One that was never started, is paused, or whose host lost it, is started or resumed
   * first unless the caller does not want that; a stopped one is refused with `sandbox_not_running`.
   */
  route(teamId: string, options?: RouteOptions): Promise<Result<SandboxRoute>>;
  /** Notes activity, which puts off the pause of an idle sandbox. */
  touch(teamId: string): Promise<void>;
  /**
   * Has the files of a running sandbox stored as an upload of an owner's chunks, and answers with the hash of their
   * manifest. `sandbox_not_running`, also while another snapshot of it is being taken.
   */
  snapshot(teamId: string, upload: SnapshotUpload): Promise<Result<string>>;
  /** What a running or paused sandbox used; `metrics_not_found` of any other. */
  metrics(teamId: string, tier: MetricTier): Promise<Result<SandboxMetrics>>;
  /** Takes what a host tells by itself; `forbidden` of any other than the one the sandbox is placed on. */
  report(hostId: string, report: SandboxReport): Promise<Result<null>>;
  nudge(): Promise<void>;
}

/**
 * The inside of a running sandbox. Failures are thrown `Fault`s: those of the file system, `host_lost` when the
 * connection broke, `timeout`, `sandbox_not_running`. Paths may be relative to the workspace root.
 */
export interface SandboxLink {
  readonly processes: ProcessLink;
  exec(request: ExecRequest, signal?: AbortSignal): Promise<ExecResult>;
  /** Answers when the command's whole process tree is dead; a command that is not known counts as dead. */
  kill(execId: string): Promise<void>;
  stat(path: string): Promise<FileStat>;
  list(
    path: string,
    page: { sortBy: (typeof FILE_SORTS)[number]; order: "asc" | "desc"; offset: number; limit: number },
  ): Promise<FileList>;
  /** What is below a directory, down to a depth of 1 or more; symlinks are told, not followed. */
  tree(path: string, depth: number, limit: number): Promise<FileTree>;
  read(path: string, maxBytes?: number): Promise<{ stat: FileStat; body: ReadableStream<Uint8Array> }>;
  write(
    path: string,
    body: ReadableStream<Uint8Array> | Uint8Array | string,
    options: { overwrite: boolean; ifMatch?: string | undefined; mtimeMs?: number | undefined },
  ): Promise<FileStat>;
  /** With `exclusive` a directory that is there already is refused, with `entry_exists`. */
  mkdir(path: string, parents: boolean, exclusive?: boolean): Promise<FileStat>;
  move(source: string, target: string, overwrite: boolean): Promise<FileStat>;
  remove(path: string, recursive: boolean): Promise<{ kind: "file" | "directory" }>;
  glob(pattern: string, path: string, limit: number): Promise<GlobResult>;
}

export type SandboxPort = {
  /** When this deployment places sandboxes in containers. */
  containers: ContainerUse;
  sandbox(id: string): SandboxHandle;
  /** A link that finds its route by itself and asks anew when a host has changed. */
  link(teamId: string, sandboxId: string, options?: LinkOptions): SandboxLink;
};

/**
 * A machine that runs sandboxes; the host agent and the container backend both implement it. Refusals are `host_lost`
 * when the machine does not answer and `sandbox_failed` when it says no.
 */
export interface SandboxBackend {
  /**
   * Starts the sandbox unless it runs; safe to repeat for one generation. `network` is what it may reach outside, `source`
   * the files that it begins with unless it has some.
   */
  start(
    spec: SandboxSpec,
    generation: number,
    network: NetworkPolicy,
    source: SandboxSource | null,
  ): Promise<Result<{ unenforced: string[]; machine: RunsOn | null }>>;
  /** How much has come of the files that a starting sandbox begins with; null when none are coming. */
  filling(sandboxId: string, generation: number): Promise<Result<{ bytes: number; of: number } | null>>;
  /**
   * Has the files of a running sandbox sent, by a token for the upload; answers with the hash of their manifest. What
   * takes longer than `deadlineMs` is `timeout`, and given up there.
   */
  snapshot(sandboxId: string, generation: number, token: string, deadlineMs: number): Promise<Result<string>>;
  /** Stops all of a running sandbox where it is; `gone` when it does not run there under this generation. */
  freeze(sandboxId: string, generation: number): Promise<Result<"frozen" | "gone">>;
  /** Lets a frozen one go on. */
  thaw(sandboxId: string, generation: number): Promise<Result<"running" | "gone">>;
  /** Answers when nothing of the sandbox runs any more. */
  stop(sandboxId: string, generation: number, files: "keep" | "wipe"): Promise<Result<null>>;
  /** What the machine has of the sandbox under this generation: at least its files, unless it is `gone`. */
  inspect(sandboxId: string, generation: number): Promise<Result<"running" | "paused" | "stopped" | "gone">>;
  /** What was measured since the sandbox was started, also by an older generation that still runs or is frozen there. */
  metrics(sandboxId: string, generation: number, tier: MetricTier | "all"): Promise<Result<AgentMetrics["tiers"]>>;
}
