import { existsSync, rmdirSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SECOND } from "#kernel/time";
import type { Refused } from "./backend.ts";
import { GroupMeter, type Meter } from "./meter.ts";
import { killQuietly, readOrEmpty } from "./quietly.ts";

const REMOVE_DEADLINE_MS = 5 * SECOND;
const FREEZE_DEADLINE_MS = 5 * SECOND;
const POLL_MS = 20;
const FREEZE_POLL_MS = 1;

const KILLED = /^oom_kill (\d+)/m;

/** The control groups of one sandbox; none at all where the machine offers none. */
export class SandboxGroup {
  readonly #directories: readonly string[];

  constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  /** Counts what the group uses; undefined where the machine's groups do not. */
  meter(): Meter | undefined {
    return GroupMeter.open(this.#directories);
  }

  /** Moves a process in. The kernel takes some ten milliseconds for the first of its groups. */
  async add(pid: number): Promise<void> {
    for (const directory of this.#directories) await writeFile(join(directory, "cgroup.procs"), String(pid));
  }

  pids(): number[] {
    const lines = this.#directories.flatMap((directory) => readOrEmpty(join(directory, "cgroup.procs")).split("\n"));
    return [...new Set(lines.filter(Boolean).map(Number))];
  }

  /** How often the kernel killed a process for its memory, and how often it refused to start another one. */
  refused(): Omit<Refused, "disk"> {
    const count = (file: string, pattern: RegExp) =>
      this.#directories.reduce((sum, at) => sum + Number(pattern.exec(readOrEmpty(join(at, file)))?.[1] ?? 0), 0);
    return {
      memory: count("memory.oom_control", KILLED) + count("memory.events", KILLED),
      processes: count("pids.events", /^max (\d+)/m),
    };
  }

  /** Stops all of it where it is, and answers when nothing runs any more. It fails where no group can do that. */
  async freeze(): Promise<void> {
    const switches = this.#freezers();
    if (switches.length === 0) throw new Error("no control group can freeze on this machine");
    const deadline = performance.now() + FREEZE_DEADLINE_MS;
    for (const { file, on } of switches) writeFileSync(file, on);
    while (!switches.every(({ isFrozen }) => isFrozen())) {
      if (performance.now() > deadline) {
        this.thaw();
        throw new Error("some processes did not stop in time");
      }
      await sleep(FREEZE_POLL_MS);
    }
  }

  thaw(): void {
    for (const { file, off } of this.#freezers()) writeFileSync(file, off);
  }

  /** Waits until the group is empty, killing what is left in it, and removes it. */
  async remove(): Promise<void> {
    const deadline = performance.now() + REMOVE_DEADLINE_MS;
    while (this.pids().length > 0 && performance.now() < deadline) {
      this.kill();
      await sleep(POLL_MS);
    }
    for (const directory of this.#directories) {
      while (!removed(directory) && performance.now() < deadline) await sleep(POLL_MS);
    }
  }

  /** Kills all of it. What is frozen is thawed afterwards, since in version 1 it could not die; none of it runs again. */
  kill(): void {
    for (const pid of this.pids()) killQuietly(pid);
    this.thaw();
  }

  /** The kernel's switches for stopping the group: `freezer.state` in version 1, `cgroup.freeze` in version 2. */
  #freezers(): { file: string; on: string; off: string; isFrozen: () => boolean }[] {
    return this.#directories.flatMap((directory) => {
      const [state, freeze] = [join(directory, "freezer.state"), join(directory, "cgroup.freeze")];
      const isFrozen = () => /^frozen 1/m.test(readOrEmpty(join(directory, "cgroup.events")));
      if (existsSync(freeze)) return [{ file: freeze, on: "1", off: "0", isFrozen }];
      const hasStopped = () => readOrEmpty(state).trim() === "FROZEN";
      return existsSync(state) ? [{ file: state, on: "FROZEN", off: "THAWED", isFrozen: hasStopped }] : [];
    });
  }
}

function removed(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch {
    return !existsSync(directory);
  }
}
