import type { BuildState } from "#domain/build/machine";
import type { BuildPhase, BuildSpec } from "#domain/build/plan";
import type { Build } from "#domain/build/repo";
import type { Result } from "#kernel/fault";

/** What a build's object knows of it; written once. */
export type BuildOrder = Pick<Build, "id" | "name" | "baseTemplate" | "createdBy" | "createdAt"> & {
  spec: BuildSpec;
  /** The team that its sandbox belongs to. */
  teamId: string;
  sandboxId: string;
};

/** One step of the log. `exit` is null while it runs, and for steps that are no command. */
export type BuildLogEntry = {
  step: number;
  phase: BuildPhase;
  cmd: string;
  stdout: string;
  stderr: string;
  exit: number | null;
  ok: boolean | null;
  elapsedMs: number;
};

export type BuildProgress = { state: BuildState; log: BuildLogEntry[] };

/** One build's object, which holds the truth about it. */
export interface BuildHandle {
  /** Begins the build; safe to repeat. */
  begin(order: BuildOrder): Promise<void>;
  /** How far it has come; `build_not_found` when it never began. */
  get(): Promise<Result<BuildProgress>>;
  /** Ends it; `invalid` once it is over. */
  cancel(): Promise<Result<null>>;
  /** Makes sure that it goes on. */
  nudge(): Promise<void>;
  /** Opens the feed of its log behind a number: a response that carries a WebSocket, or 409 when nothing will come. */
  openFeed(after: number): Promise<Response>;
}

/** What becomes a template of the platform. */
export type TemplateOrder = {
  /** The running sandbox, and its team. */
  sandboxId: string;
  teamId: string;
  name: string;
  type: "base" | "snapshot";
  vcpus: number | null;
  memoryMb: number | null;
  defaultEnv: Record<string, string>;
  defaultUser: string | null;
  metadata: Record<string, string>;
  /** The administrator who asked for the build. */
  createdBy: string;
};

/** Takes the files of a running sandbox as a template; `template_name_taken` when another one came first. */
export type TemplateSnapshots = { take(order: TemplateOrder): Promise<Result<null>> };

/** Where the archives of builds wait. */
export type BuildArchives = {
  /** False when there was more than `limitBytes`; nothing is kept then. */
  put(key: string, body: ReadableStream<Uint8Array>, limitBytes: number): Promise<boolean>;
  get(key: string): Promise<ReadableStream<Uint8Array> | null>;
  delete(key: string): Promise<void>;
};

export type BuildPort = { build(id: string): BuildHandle };
