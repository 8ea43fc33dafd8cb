import type { Duplex } from "node:stream";
import type { AgentFreezes, SandboxLimits } from "#protocol/host-agent";
import type { ExecLimit } from "#protocol/supervisor-values";
import type { Meter } from "./meter.ts";

/** What a start needs: `slot` is a small number that no other sandbox of this agent has. */
export type StartInput = { id: string; slot: number; workspace: string; limits: SandboxLimits };

/** How often a sandbox was refused more of something, since its start. */
export type Refused = Record<ExecLimit, number>;

/**
 * A started supervisor. `stop` answers when nothing of the sandbox runs any more; it is safe to repeat and works on a
 * frozen one too. `freeze` answers when all of it stands still, its memory kept, and fails where that cannot be done.
 */
export type Started = {
  socket: Duplex;
  exited: Promise<string>;
  refused: () => Refused;
  freeze: () => Promise<void>;
  thaw: () => void;
  meter: Meter;
  /** Bytes that the sandbox's files take. */
  diskBytes: () => number;
  stop: () => Promise<void>;
};

/** One way to run a supervisor. */
export interface Backend {
  readonly kind: "bubblewrap" | "none";
  readonly freezes: AgentFreezes;
  /** Limits and protections this machine cannot enforce, in words for people. */
  readonly unenforced: string[];
  /** Makes the workspace's folder with the owner the sandbox runs as. */
  prepare(workspace: string, slot: number): void;
  start(input: StartInput): Promise<Started>;
  /** Kills what an earlier life of the agent left running. */
  reap(): Promise<void>;
  /** Gives back what the backend holds of the machine, once no sandbox runs any more. */
  close(): Promise<void>;
}
