import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Duplex } from "node:stream";
import type { AgentFreezes } from "#protocol/host-agent";
import { SUPERVISOR_FLAGS } from "../flags.ts";
import { WalkedDiskUsage } from "../metrics/disk-usage.ts";
import { packCommand, packed, spawnArchiver, unpackCommand, unpacked, withList } from "./archiver.ts";
import type { Backend, FilesInput, Started, StartInput } from "./backend.ts";
import { endWithin, exitOf } from "./exit.ts";
import { freezable, TreeFreezer } from "./freezer.ts";
import { TreeMeter } from "./meter.ts";

const SUPERVISOR_DESCRIPTOR = 3;

const IN_WORDS = [
  "isolation: commands run as the agent's own user and reach its files, processes and network",
  "freezing: processes are stopped one by one where this is Linux, and those that left their parent go on",
  "memory, processes, processor time and disk space: nothing limits them",
];

/** Runs the supervisor as an ordinary child in the workspace's folder. It isolates nothing. */
export class PlainBackend implements Backend {
  readonly kind = "none";
  readonly version = "";
  readonly freezes: AgentFreezes = process.platform === "linux" ? "signals" : "never";
  readonly unenforced = IN_WORDS;
  readonly #supervisor: string;

  constructor(supervisor: string) {
    this.#supervisor = supervisor;
  }

  async start({ workspace }: StartInput): Promise<Started> {
    mkdirSync(workspace, { recursive: true, mode: 0o700 });
    const child = spawn(
      process.execPath,
      [...SUPERVISOR_FLAGS, this.#supervisor, String(SUPERVISOR_DESCRIPTOR), workspace],
      {
        cwd: workspace,
        env: {},
        stdio: ["ignore", "ignore", "pipe", "pipe"],
      },
    );
    const exited = exitOf(child, child.stderr);
    const socket = child.stdio[SUPERVISOR_DESCRIPTOR] as Duplex;
    socket.on("error", () => {});
    const { killFrozen, ...freezing } = freezable(new TreeFreezer(() => child.pid));
    const disk = new WalkedDiskUsage({ path: workspace, user: undefined });
    const stop = async () => {
      socket.destroy();
      killFrozen();
      await endWithin(child, exited, []);
    };
    return {
      notes: [],
      network: "open",
      socket,
      exited,
      refused: () => ({ memory: 0, processes: 0, disk: 0 }),
      ...freezing,
      meter: new TreeMeter(() => child.pid),
      diskBytes: () => disk.bytes(),
      belongTo: () => {},
      stop,
    };
  }

  pack({ workspace, signal }: FilesInput, to: number): Promise<{ entries: number }> {
    return withList((list) => packed(spawnArchiver(packCommand(list), { workspace, signal, streams: ["ignore", to] })));
  }

  unpack({ workspace, signal }: FilesInput, archive: AsyncIterable<Buffer>): Promise<void> {
    mkdirSync(workspace, { recursive: true, mode: 0o700 });
    return unpacked(spawnArchiver(unpackCommand(), { workspace, signal, streams: ["pipe", "ignore"] }), archive);
  }

  async erase(_id: string, workspace: string): Promise<void> {
    await rm(workspace, { recursive: true, force: true });
  }

  async reap(): Promise<void> {
    // A supervisor ends by itself when the agent's side of its socket closes, and takes its commands with it.
  }

  async close(): Promise<void> {
    // It holds nothing.
  }
}
