import { readdirSync, readFileSync } from "node:fs";

/** A file of /proc, empty when its process is gone. */
export function readProc(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** The processes that each process of this machine has started. Linux. */
export function childrenOf(): Map<number, number[]> {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const parent = /^\d+$/.test(name) && /^PPid:\s+(\d+)/m.exec(readProc(`/proc/${name}/status`))?.[1];
    if (parent) parents.set(Number(name), Number(parent));
  }
  return Map.groupBy(parents.keys(), (pid) => parents.get(pid) ?? 0);
}

/** A process and all that descend from it. */
export function treeOf(root: number, children = childrenOf()): number[] {
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}
