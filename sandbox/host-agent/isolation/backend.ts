import type { Duplex } from "node:stream";
import type { AgentFreezes, AgentSandbox, NetworkPolicy, SandboxLimits } from "#protocol/host-agent";
import type { ExecLimit } from "#protocol/supervisor-values";
import type { Meter } from "./meter.ts";

/** What a start needs: `slot` is a small number that no other sandbox of this agent has. */
export type StartInput = {
  id: string;
  slot: number;
  workspace: string;
  limits: SandboxLimits;
  network: NetworkPolicy;
};

/** How often a sandbox was refused more of something, since its start. */
export type Refused = Record<ExecLimit, number>;

/**
 * A started supervisor. `stop` answers when nothing of the sandbox runs any more; it is safe to repeat and works on a
 * frozen one too. `freeze` answers when all of it stands still, its memory kept, and fails where that cannot be done.
 */
export type Started = {
  /** What is not enforced for this one alone, in words for people. */
  notes: string[];
  /** What it may reach outside. */
  network: AgentSandbox["network"];
  socket: Duplex;
  exited: Promise<string>;
  refused: () => Refused;
  freeze: () => Promise<void>;
  thaw: () => void;
  meter: Meter;
  /** Tells whose it is, before anybody else can use it: its files may bear another name. */
  belongTo: (sandboxId: string) => void;
  /** Bytes that the sandbox's files take. */
  diskBytes: () => number;
  stop: () => Promise<void>;
};

/** Files of a sandbox that are packed or unpacked; `limits` are those it has when it runs. */
export type FilesInput = Omit<StartInput, "network"> & {
  /** Ends it at once. */
  signal: AbortSignal;
};

/** One way to run a supervisor. */
export interface Backend {
  readonly kind: "bubblewrap" | "container" | "none";
  /** Version of the program that isolates; empty where there is none, or it has no version of its own. */
  readonly version: string;
  readonly freezes: AgentFreezes;
  /** Limits and protections this machine cannot enforce, in words for people. */
  readonly unenforced: string[];
  /** Starts a supervisor on the sandbox's files, which are made when there are none. */
  start(input: StartInput): Promise<Started>;
  /** Writes the files of a sandbox that stands still into an open file, as a tar archive. */
  pack(input: FilesInput, to: number): Promise<{ entries: number }>;
  /** Puts the content of a tar archive into the files of a sandbox that does not run and has none yet. */
  unpack(input: FilesInput, archive: AsyncIterable<Buffer>): Promise<void>;
  /** Deletes the files of a sandbox that does not run. */
  erase(id: string, workspace: string): Promise<void>;
  /** Kills what an earlier life of the agent left running, and undoes what it left mounted. */
  reap(): Promise<void>;
  /** Gives back what the backend holds of the machine, once no sandbox runs any more. */
  close(): Promise<void>;
}
