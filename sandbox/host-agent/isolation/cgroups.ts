import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SECOND } from "#kernel/time";
import type { SandboxLimits } from "#protocol/host-agent";
import type { Refused } from "./backend.ts";
import { killQuietly, readOrEmpty } from "./quietly.ts";

const MOUNT = "/sys/fs/cgroup";
const FOLDER = "longshore";
const REMOVE_DEADLINE_MS = 5 * SECOND;
const POLL_MS = 20;
const CPU_PERIOD_US = 100_000;

const KILLED = /^oom_kill (\d+)/m;

const RESOURCES = ["memory", "pids", "cpu"] as const;
type Resource = (typeof RESOURCES)[number];

const IN_WORDS: Record<Resource, string> = {
  memory: "memory: no control group can be written on this machine",
  pids: "processes: limited per user, not by a control group",
  cpu: "processor time: no control group can be written on this machine",
};

/** A folder of the control-group tree that limits some resources. */
type Controller = { directory: string; resources: Resource[]; version: 1 | 2 };

/** The control groups of one agent's sandboxes; the kernel's version 1 and 2 both serve. */
export class Cgroups {
  readonly #controllers: Controller[];

  constructor(controllers: Controller[]) {
    this.#controllers = controllers;
  }

  /** Finds what can be used. `instance` keeps the groups of several agents on one machine apart. */
  static detect(instance: string): Cgroups {
    if (process.platform !== "linux" || process.getuid?.() !== 0) return new Cgroups([]);
    const unified = existsSync(join(MOUNT, "cgroup.controllers"));
    return new Cgroups(unified ? unifiedControllers(instance) : legacyControllers(instance));
  }

  /** Limits that no group enforces, in words. */
  get unenforced(): string[] {
    return RESOURCES.filter((resource) => !this.limits(resource)).map((resource) => IN_WORDS[resource]);
  }

  /** Whether a group can limit this here. */
  limits(resource: Resource): boolean {
    return this.#controllers.some(({ resources }) => resources.includes(resource));
  }

  /** Makes the groups of a sandbox and sets its limits. */
  create(id: string, limits: SandboxLimits): SandboxGroup {
    const directories = this.#controllers.map((controller) => {
      const directory = join(controller.directory, id);
      mkdirSync(directory, { recursive: true });
      for (const [file, value, optional] of settings(controller, limits)) {
        if (!optional || existsSync(join(directory, file))) setValue(join(directory, file), value, optional);
      }
      return directory;
    });
    return new SandboxGroup(directories);
  }

  /** Removes the folder of this agent's groups, which must be empty. */
  async close(): Promise<void> {
    await new SandboxGroup(this.#controllers.map(({ directory }) => directory)).remove();
  }

  /** Groups that an earlier life of the agent left behind. */
  leftovers(): SandboxGroup[] {
    return this.#controllers.flatMap(({ directory }) =>
      readdirSync(directory, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => new SandboxGroup([join(directory, entry.name)])),
    );
  }
}

/** The control groups of one sandbox; none at all where the machine offers none. */
export class SandboxGroup {
  readonly #directories: readonly string[];

  constructor(directories: readonly string[]) {
    this.#directories = directories;
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
  refused(): Refused {
    const count = (file: string, pattern: RegExp) =>
      this.#directories.reduce((sum, at) => sum + Number(pattern.exec(readOrEmpty(join(at, file)))?.[1] ?? 0), 0);
    return {
      memory: count("memory.oom_control", KILLED) + count("memory.events", KILLED),
      processes: count("pids.events", /^max (\d+)/m),
    };
  }

  /** Waits until the group is empty, killing what is left in it, and removes it. */
  async remove(): Promise<void> {
    const deadline = performance.now() + REMOVE_DEADLINE_MS;
    while (this.pids().length > 0 && performance.now() < deadline) {
      for (const pid of this.pids()) killQuietly(pid);
      await sleep(POLL_MS);
    }
    for (const directory of this.#directories) {
      while (!removed(directory) && performance.now() < deadline) await sleep(POLL_MS);
    }
  }
}

/** Values to write; the third marks those that only some kernels have. */
function settings({ version, resources }: Controller, limits: SandboxLimits): [string, string, boolean][] {
  const bytes = String(limits.memoryMb * 1024 * 1024);
  const quota = String(Math.round(limits.vcpus * CPU_PERIOD_US));
  const of: Record<Resource, [string, string, boolean][]> =
    version === 1
      ? {
          memory: [
            ["memory.limit_in_bytes", bytes, false],
            ["memory.memsw.limit_in_bytes", bytes, true],
          ],
          pids: [["pids.max", String(limits.pids), false]],
          cpu: [
            ["cpu.cfs_period_us", String(CPU_PERIOD_US), false],
            ["cpu.cfs_quota_us", quota, false],
          ],
        }
      : {
          memory: [
            ["memory.max", bytes, false],
            ["memory.swap.max", "0", true],
          ],
          pids: [["pids.max", String(limits.pids), false]],
          cpu: [["cpu.max", `${quota} ${CPU_PERIOD_US}`, false]],
        };
  return resources.flatMap((resource) => of[resource]);
}

function setValue(file: string, value: string, optional: boolean): void {
  try {
    writeFileSync(file, value);
  } catch (error) {
    if (!optional) throw error;
  }
}

function legacyControllers(instance: string): Controller[] {
  return RESOURCES.flatMap((resource) => {
    const directory = join(MOUNT, resource, FOLDER, instance);
    return usable(directory) ? [{ directory, resources: [resource], version: 1 as const }] : [];
  });
}

function unifiedControllers(instance: string): Controller[] {
  const directory = join(MOUNT, FOLDER, instance);
  if (!usable(directory)) return [];
  const resources = RESOURCES.filter((resource) =>
    [MOUNT, join(MOUNT, FOLDER), directory].every((level) => delegated(level, resource)),
  );
  return resources.length > 0 ? [{ directory, resources, version: 2 }] : [];
}

function delegated(level: string, resource: Resource): boolean {
  try {
    writeFileSync(join(level, "cgroup.subtree_control"), `+${resource}`);
    return true;
  } catch {
    return false;
  }
}

/** A group is usable when it can be made and the kernel filled it. */
function usable(directory: string): boolean {
  try {
    mkdirSync(directory, { recursive: true });
    return existsSync(join(directory, "cgroup.procs"));
  } catch {
    return false;
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
