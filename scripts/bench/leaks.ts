import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Capsules } from "#scripts/bench/capsules";
import type { Row } from "#scripts/bench/measure";
import { descriptorCount } from "#scripts/lib/descriptors";
import { readProc, treeOf } from "#scripts/lib/process-tree";

const EXECS = 1_000;
const AT_ONCE = 10;
/** What a host holds changes a little by itself, such as when it samples. */
const SETTLE_MS = 10_000;

type Held = { processes: number; descriptors: number; groups: number };

/** Runs many commands and counts what the host and its sandboxes hold, before and after. Linux. */
export async function measureLeaks(capsules: Capsules, agentPid: number): Promise<Row[]> {
  const { id } = await capsules.create();
  const execs = async (count: number) => {
    for (let done = 0; done < count; done += AT_ONCE) {
      const some = Array.from({ length: AT_ONCE }, () =>
        capsules.exec(id, "/bin/sh", "-c", "echo hello; (sleep 0.01 &)"),
      );
      await Promise.all(some);
    }
  };
  await execs(EXECS / 10);
  const before = await settled(agentPid);
  await execs(EXECS);
  const after = await settled(agentPid, before);
  await capsules.destroy(id);
  const names = ["processes", "descriptors", "groups"] as const;
  return [
    {
      figure: `${EXECS} commands: processes, descriptors and control groups of the host, before and after`,
      value: names.map((name) => `${before[name]} → ${after[name]}`).join(", "),
      aim: "no more",
      met: isWithin(after, before),
    },
  ];
}

const isWithin = (held: Held, bounds: Held) =>
  held.processes <= bounds.processes && held.descriptors <= bounds.descriptors && held.groups <= bounds.groups;

/** What is held once it does not change any more or, with bounds, once it is within them; at the latest after a while. */
async function settled(agentPid: number, bounds?: Held): Promise<Held> {
  const deadline = performance.now() + SETTLE_MS;
  let held = count(agentPid);
  while (performance.now() < deadline) {
    await sleep(500);
    const next = count(agentPid);
    const isCalm = bounds ? isWithin(next, bounds) : isWithin(next, held) && isWithin(held, next);
    held = next;
    if (isCalm) break;
  }
  return held;
}

function count(agentPid: number): Held {
  const tree = treeOf(agentPid);
  return {
    processes: tree.length,
    descriptors: tree.reduce((sum, pid) => sum + countOrNone(() => descriptorCount(pid)), 0),
    groups: groupsOf(tree),
  };
}

/** A sandbox's groups lie in a folder that is its agent's alone, once in each hierarchy. */
function groupsOf(tree: readonly number[]): number {
  const folders = new Set<string>();
  for (const pid of tree) {
    for (const [, kind = "", path = ""] of readProc(`/proc/${pid}/cgroup`).matchAll(/^\d+:([^:]*):(.*)$/gm)) {
      const own = /^(.*\/longshore\/[^/]+)\//.exec(`${path}/`)?.[1];
      if (own) folders.add(`/sys/fs/cgroup/${kind.replace(/^name=/, "")}${own}`);
    }
  }
  return [...folders].reduce((sum, folder) => sum + countOrNone(() => foldersBelow(folder)), 0);
}

const foldersBelow = (folder: string): number =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory()).length;

function countOrNone(work: () => number): number {
  try {
    return work();
  } catch {
    return 0; // gone in the meantime
  }
}
