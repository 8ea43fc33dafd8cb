import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxLimits } from "#protocol/host-agent";
import { SandboxGroup } from "./sandbox-group.ts";

const MOUNT = "/sys/fs/cgroup";
const FOLDER = "longshore";
const CPU_PERIOD_US = 100_000;

const RESOURCES = ["memory", "pids", "cpu"] as const;
type Resource = (typeof RESOURCES)[number];
/** Folders of version 1 that limit nothing: one stops processes, the other counts their time. Version 2 always can. */
const ABILITIES = ["freezer", "cpuacct"] as const;
type Ability = (typeof ABILITIES)[number];

const IN_WORDS: Record<Resource, string> = {
  memory: "memory: no control group can be written on this machine",
  pids: "processes: limited per user, not by a control group",
  cpu: "processor time: no control group can be written on this machine",
};

/** A folder of the control-group tree with what it can do. */
type Controller = { directory: string; resources: (Resource | Ability)[]; version: 1 | 2 };

/** The control groups of one agent's sandboxes; the kernel's version 1 and 2 both serve. */
export class Cgroups {
  readonly #controllers: Controller[];

  constructor(controllers: Controller[]) {
    this.#controllers = controllers;
  }

  /** Finds what can be used. `instance` keeps the groups of several agents on one machine apart. */
  static detect(instance: string, mount = MOUNT): Cgroups {
    if (process.platform !== "linux" || process.getuid?.() !== 0) return new Cgroups([]);
    const unified = existsSync(join(mount, "cgroup.controllers"));
    return new Cgroups(unified ? unifiedControllers(mount, instance) : legacyControllers(mount, instance));
  }

  /** Limits that no group enforces, in words. */
  get unenforced(): string[] {
    return RESOURCES.filter((resource) => !this.can(resource)).map((resource) => IN_WORDS[resource]);
  }

  /** Whether a group can limit this here, or is able to do it. */
  can(resource: Resource | Ability): boolean {
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
    const parents = this.#controllers.map(({ directory }) => directory);
    const names = parents.flatMap((directory) =>
      readdirSync(directory, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])),
    );
    return [...new Set(names)].map(
      (name) => new SandboxGroup(parents.map((directory) => join(directory, name)).filter((path) => existsSync(path))),
    );
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
  return RESOURCES.filter((resource) => resources.includes(resource)).flatMap((resource) => of[resource]);
}

function setValue(file: string, value: string, optional: boolean): void {
  try {
    writeFileSync(file, value);
  } catch (error) {
    if (!optional) throw error;
  }
}

function legacyControllers(mount: string, instance: string): Controller[] {
  return [...RESOURCES, ...ABILITIES].flatMap((resource) => {
    const directory = join(mount, resource, FOLDER, instance);
    return usable(directory) ? [{ directory, resources: [resource], version: 1 as const }] : [];
  });
}

function unifiedControllers(mount: string, instance: string): Controller[] {
  const directory = join(mount, FOLDER, instance);
  if (!usable(directory)) return [];
  const resources = RESOURCES.filter((resource) =>
    [mount, join(mount, FOLDER), directory].every((level) => delegated(level, resource)),
  );
  return [{ directory, resources: [...resources, ...ABILITIES], version: 2 }];
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
