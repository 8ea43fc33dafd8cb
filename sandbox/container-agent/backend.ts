import { execFile, spawn } from "node:child_process";
import { chownSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { SECOND } from "#kernel/time";
import { isOpen } from "#protocol/container";
import { SUPERVISOR_FLAGS } from "../host-agent/flags.ts";
import {
  packCommand,
  packed,
  spawnArchiver,
  unpackCommand,
  unpacked,
  withList,
} from "../host-agent/isolation/archiver.ts";
import type { Backend, FilesInput, Started, StartInput } from "../host-agent/isolation/backend.ts";
import { endWithin, exitOf } from "../host-agent/isolation/exit.ts";
import { freezable, TreeFreezer } from "../host-agent/isolation/freezer.ts";
import { TreeMeter } from "../host-agent/isolation/meter.ts";
import { killQuietly, readOrEmpty } from "../host-agent/isolation/quietly.ts";
import { WalkedDiskUsage } from "../host-agent/metrics/disk-usage.ts";

const SUPERVISOR_DESCRIPTOR = 3;
const OPEN_FILES = 1024;
const ROUND_MS = 2;
const KILL_DEADLINE_MS = 10 * SECOND;

const IN_WORDS = [
  "memory, processor time and disk space: limited by the container's instance, not for the sandbox by itself",
];

const NO_LIST = "network: a container reaches every address or none, so a list of names allows nothing";

type Options = { supervisor: string; workspace: string; user: number };

/**
 * Runs the one sandbox of a container: the container is its isolation. Its processes have a user of their own, who can
 * neither read nor signal the agent, and all that this user runs belongs to the sandbox.
 */
export class ContainerBackend implements Backend {
  readonly kind = "container";
  readonly version = "";
  readonly freezes = "signals";
  readonly unenforced = IN_WORDS;
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async start({ limits, network }: StartInput): Promise<Started> {
    const { supervisor, workspace, user } = this.#options;
    this.#prepareWorkspace();
    const child = spawn(
      "/usr/bin/prlimit",
      [
        ...["--core=0", `--nofile=${OPEN_FILES}`, `--nproc=${limits.pids}`],
        `--fsize=${limits.diskMb * 1024 * 1024}`,
        ...[process.execPath, ...SUPERVISOR_FLAGS, supervisor, String(SUPERVISOR_DESCRIPTOR), workspace],
      ],
      { cwd: workspace, env: {}, uid: user, gid: user, stdio: ["ignore", "ignore", "pipe", "pipe"] },
    );
    const exited = exitOf(child, child.stderr);
    const socket = child.stdio[SUPERVISOR_DESCRIPTOR] as Duplex;
    socket.on("error", () => {});
    const { killFrozen, freeze, thaw } = freezable(new TreeFreezer(() => child.pid));
    const disk = new WalkedDiskUsage({ path: workspace, user });
    const isListed = network !== "off" && !isOpen(network);
    return {
      notes: isListed ? [NO_LIST] : [],
      network: isOpen(network) ? "open" : "off",
      socket,
      exited,
      refused: () => ({ memory: 0, processes: 0, disk: 0 }),
      freeze: async () => {
        await freeze();
        // What is saved of a standing sandbox is what its disk holds.
        await promisify(execFile)("sync", ["-f", workspace]);
      },
      thaw,
      meter: new TreeMeter(() => child.pid),
      diskBytes: () => disk.bytes(),
      belongTo: () => {},
      stop: async () => {
        socket.destroy();
        killFrozen();
        await endWithin(child, exited, []);
        await this.reap();
      },
    };
  }

  pack({ signal }: FilesInput, to: number): Promise<{ entries: number }> {
    const { workspace } = this.#options;
    // The list is the agent's: it reads the files of a sandbox that stands still.
    return withList((list) => packed(spawnArchiver(packCommand(list), { workspace, signal, streams: ["ignore", to] })));
  }

  unpack({ signal }: FilesInput, archive: AsyncIterable<Buffer>): Promise<void> {
    const { workspace, user } = this.#options;
    this.#prepareWorkspace();
    const streams: ["pipe", "ignore"] = ["pipe", "ignore"];
    return unpacked(spawnArchiver(unpackCommand(), { workspace, signal, streams, user }), archive);
  }

  async erase(): Promise<void> {
    for (const name of readdirSync(this.#options.workspace)) {
      rmSync(join(this.#options.workspace, name), { recursive: true, force: true });
    }
  }

  /** Kills whatever the sandbox's user runs, and answers when none of it is left. */
  async reap(): Promise<void> {
    const deadline = performance.now() + KILL_DEADLINE_MS;
    for (;;) {
      const left = processesOf(this.#options.user);
      if (left.length === 0) return;
      if (performance.now() > deadline) throw new Error("some processes of the sandbox could not be killed");
      for (const pid of left) killQuietly(pid);
      await sleep(ROUND_MS);
    }
  }

  async close(): Promise<void> {
    // It holds nothing.
  }

  #prepareWorkspace(): void {
    const { workspace, user } = this.#options;
    mkdirSync(workspace, { recursive: true, mode: 0o755 });
    chownSync(workspace, user, user);
  }
}

/** Live processes of a user; a zombie runs nothing and is left to whoever reaps it. */
function processesOf(user: number): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const status = readOrEmpty(`/proc/${name}/status`);
    const isTheirs = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]) === user;
    return isTheirs && !/^State:\s+[ZX]/m.test(status) ? [Number(name)] : [];
  });
}
