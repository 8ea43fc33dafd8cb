import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import type { Duplex, Readable, Writable } from "node:stream";
import type { AgentFreezes, SandboxLimits } from "#protocol/host-agent";
import type { Egress, Gate } from "../egress/egress.ts";
import { largestArchive, packCommand, packed, unpackCommand, unpacked } from "./archiver.ts";
import type { Backend, FilesInput, Started, StartInput } from "./backend.ts";
import {
  archiverArguments,
  archiverLimits,
  bubblewrapArguments,
  DESCRIPTORS,
  supervisorCommand,
} from "./bubblewrap.ts";
import { Cgroups } from "./cgroups.ts";
import type { Disk, Disks } from "./disks.ts";
import { endWithin, exitOf } from "./exit.ts";
import { freezable, TreeFreezer } from "./freezer.ts";
import { TreeMeter } from "./meter.ts";
import { killQuietly, readOrEmpty } from "./quietly.ts";
import { seccompFilter } from "./seccomp.ts";

/** Host user ids that one agent uses for its sandboxes. */
export const USERS_PER_AGENT = 1000;

const SIGNALS_IN_WORDS =
  "freezing: no control group can do it, so processes are stopped one by one, and can notice it afterwards";
const SAME_USER_IN_WORDS = "separate host users: the agent does not run as root, so all sandboxes run as its own user";

/** `bubblewrap` is the program, `version` its own, `disableUserns` whether it knows that option. */
type Options = {
  bubblewrap: string;
  version: string;
  runtime: string;
  firstUser: number;
  disableUserns: boolean;
  disks: Disks;
  egress: Egress;
};

/** What is packed, or unpacked; `fileBytes` is the largest file that may come of it. */
type ArchivedFiles = {
  slot: number;
  workspace: string;
  packs: boolean;
  fileBytes: number;
  signal: AbortSignal;
};

const MIB = 1024 * 1024;

/** Runs each sandbox in bubblewrap: namespaces of its own, a system call filter, and as root a host user of its own. */
export class BubblewrapBackend implements Backend {
  readonly kind = "bubblewrap";
  readonly version: string;
  readonly #bubblewrap: string;
  readonly #runtime: string;
  readonly #firstUser: number;
  readonly #asRoot = process.getuid?.() === 0;
  readonly #filter = seccompFilter();
  readonly #cgroups: Cgroups;
  readonly #disableUserns: boolean;
  readonly #disks: Disks;
  readonly #egress: Egress;

  constructor({ bubblewrap, version, runtime, firstUser, disableUserns, disks, egress }: Options) {
    this.#bubblewrap = bubblewrap;
    this.version = version;
    this.#runtime = runtime;
    this.#firstUser = firstUser;
    this.#cgroups = Cgroups.detect(String(firstUser));
    this.#disableUserns = disableUserns;
    this.#disks = disks;
    this.#egress = egress;
  }

  get freezes(): AgentFreezes {
    return this.#cgroups.can("freezer") ? "kernel" : "signals";
  }

  get unenforced(): string[] {
    return [
      ...this.#cgroups.unenforced,
      ...this.#disks.unenforced,
      ...(this.freezes === "kernel" ? [] : [SIGNALS_IN_WORDS]),
      ...(this.#asRoot ? [] : [SAME_USER_IN_WORDS]),
    ];
  }

  async start(input: StartInput): Promise<Started> {
    const { id, slot, workspace, limits, network: policy } = input;
    const user = this.#asRoot ? this.#firstUser + slot : undefined;
    const disk = await this.#disks.attach({ id, workspace, diskMb: limits.diskMb, user });
    let gate: Gate | undefined;
    try {
      gate = policy === "off" ? undefined : await this.#egress.open({ id, slot, user, policy });
      return await this.#startOn(disk, gate, input);
    } catch (error) {
      gate?.close();
      await disk.detach();
      throw error;
    }
  }

  async #startOn(disk: Disk, gate: Gate | undefined, input: StartInput): Promise<Started> {
    const { id, slot, workspace, limits, network } = input;
    const group = this.#cgroups.create(id, limits);
    const child = this.#spawn(slot, limits, gate !== undefined);
    const exited = exitOf(child, child.stderr);
    const pipe = <T>(descriptor: number) => child.stdio[descriptor] as unknown as T;
    for (const descriptor of Object.values(DESCRIPTORS)) pipe<Duplex>(descriptor).on("error", () => {});
    const socket = pipe<Duplex>(DESCRIPTORS.supervisor);
    const inner: number[] = [];
    const { killFrozen, ...freezing } = freezable(this.freezes === "kernel" ? group : new TreeFreezer(() => inner[0]));
    const meter = group.meter() ?? new TreeMeter(() => inner[0]);
    const stop = async () => {
      socket.destroy();
      meter.close();
      gate?.close();
      killFrozen();
      await endWithin(child, exited, inner);
      await group.remove();
      await disk.detach();
    };
    try {
      const [runtime, disableUserns, proxy] = [this.#runtime, this.#disableUserns, gate?.path];
      const args = bubblewrapArguments({ workspace, runtime, disableUserns, proxy });
      pipe<Writable>(DESCRIPTORS.args).end(args.map((argument) => `${argument}\0`).join(""));
      pipe<Writable>(DESCRIPTORS.seccomp).end(this.#filter);
      const pid = await Promise.race([
        firstProcess(pipe<Readable>(DESCRIPTORS.status)),
        exited.then((why) => Promise.reject(new Error(`bwrap: ${why}`))),
      ]);
      // Everything of the sandbox descends from this process, which waits until it is in its group.
      inner.push(pid);
      await group.add(pid);
      pipe<Writable>(DESCRIPTORS.block).end("x");
    } catch (error) {
      await stop();
      throw error;
    }
    const refused = () => ({ ...group.refused(), disk: disk.refused() });
    const diskBytes = () => disk.bytes();
    const belongTo = (sandboxId: string) => gate?.belongTo(sandboxId);
    return { notes: disk.notes, network, socket, exited, refused, ...freezing, meter, diskBytes, belongTo, stop };
  }

  pack({ slot, workspace, limits, signal }: FilesInput, to: number): Promise<{ entries: number }> {
    const fileBytes = largestArchive(limits.diskMb);
    const files = { slot, workspace, fileBytes, signal, packs: true };
    return packed(this.#spawnArchiver(files, packCommand("/tmp/list"), ["ignore", to]));
  }

  async unpack({ id, slot, workspace, limits, signal }: FilesInput, archive: AsyncIterable<Buffer>): Promise<void> {
    const user = this.#asRoot ? this.#firstUser + slot : undefined;
    const disk = await this.#disks.attach({ id, workspace, diskMb: limits.diskMb, user });
    try {
      const files = { slot, workspace, fileBytes: limits.diskMb * MIB, signal, packs: false };
      await unpacked(this.#spawnArchiver(files, unpackCommand(), ["pipe", "ignore"]), archive);
    } finally {
      await disk.detach();
    }
  }

  erase(id: string, workspace: string): Promise<void> {
    return this.#disks.erase(id, workspace);
  }

  async reap(): Promise<void> {
    if (this.#asRoot) for (const pid of this.#processesOfSandboxes()) killQuietly(pid);
    await Promise.all(this.#cgroups.leftovers().map((group) => group.remove()));
    this.#disks.reap();
  }

  close(): Promise<void> {
    this.#egress.close();
    return this.#cgroups.close();
  }

  #spawn(slot: number, limits: SandboxLimits, proxied: boolean): ChildProcess {
    const user = this.#firstUser + slot;
    const command = supervisorCommand(limits, { pidsInGroup: this.#cgroups.can("pids"), proxied });
    return spawn(this.#bubblewrap, ["--args", String(DESCRIPTORS.args), "--", ...command], {
      cwd: "/",
      // An empty environment hides the agent's from /proc/1/environ inside.
      env: {},
      stdio: ["ignore", "ignore", "pipe", "pipe", "pipe", "pipe", "pipe", "pipe"],
      ...(this.#asRoot && { uid: user, gid: user }),
    });
  }

  #spawnArchiver(
    files: ArchivedFiles,
    command: string[],
    streams: ["ignore" | "pipe", number | "ignore"],
  ): ChildProcess {
    const { slot, workspace, packs, fileBytes, signal } = files;
    const user = this.#firstUser + slot;
    const program = ["--args", String(DESCRIPTORS.args), "--", ...archiverLimits(fileBytes), ...command];
    const child = spawn(this.#bubblewrap, program, {
      cwd: "/",
      env: {},
      stdio: [...streams, "pipe", "pipe", "pipe"],
      signal,
      killSignal: "SIGKILL",
      ...(this.#asRoot && { uid: user, gid: user }),
    });
    const args = archiverArguments({ workspace, packs, disableUserns: this.#disableUserns });
    const pipe = (descriptor: number) => (child.stdio[descriptor] as unknown as Writable).on("error", () => {});
    pipe(DESCRIPTORS.args).end(args.map((argument) => `${argument}\0`).join(""));
    pipe(DESCRIPTORS.seccomp).end(this.#filter);
    return child;
  }

  #processesOfSandboxes(): number[] {
    return readdirSync("/proc").flatMap((name) => {
      const pid = Number(name);
      if (!Number.isInteger(pid)) return [];
      const user = Number(/^Uid:\s+(\d+)/m.exec(readOrEmpty(`/proc/${pid}/status`))?.[1]);
      return user >= this.#firstUser && user < this.#firstUser + USERS_PER_AGENT ? [pid] : [];
    });
  }
}

/** Bubblewrap reports the namespace's first process as soon as it has one. */
function firstProcess(status: Readable): Promise<number> {
  let text = "";
  return new Promise((resolve) => {
    status.setEncoding("utf8").on("data", (piece: string) => {
      text = (text + piece).slice(0, 4096);
      const pid = /"child-pid":\s*(\d+)/.exec(text)?.[1];
      if (pid) resolve(Number(pid));
    });
  });
}
