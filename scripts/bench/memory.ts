import { readProc, treeOf } from "#scripts/lib/process-tree";

/** Resident memory in MiB of the processes below `root` whose command name contains `name`. */
export function residentMib(root: number, name: string): number {
  let kib = 0;
  for (const pid of treeOf(root)) {
    const status = readProc(`/proc/${pid}/status`);
    if (!/^Name:\s+(.*)/m.exec(status)?.[1]?.includes(name)) continue;
    kib += Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return kib / 1024;
}
