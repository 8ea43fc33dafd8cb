import { readdirSync, readFileSync } from "node:fs";

const read = (file: string): string => {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
};

/** Resident memory in MiB of the processes below `root` whose command name contains `name`. */
export function residentMib(root: number, name: string): number {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = /^PPid:\s+(\d+)/m.exec(read(`/proc/${entry}/status`));
    if (parent) parents.set(Number(entry), Number(parent[1]));
  }
  const below = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === root || (parents.has(pid) && below(parents.get(pid))));
  let kib = 0;
  for (const pid of parents.keys()) {
    const status = read(`/proc/${pid}/status`);
    if (!below(pid) || !/^Name:\s+(.*)/m.exec(status)?.[1]?.includes(name)) continue;
    kib += Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return kib / 1024;
}
