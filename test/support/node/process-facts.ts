import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Resident memory of a process, in bytes. */
export const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;

/** The most resident memory that a process has while some work is done, beyond what it has before. */
export async function memoryFor(pid: number, work: () => Promise<unknown>): Promise<number> {
  const before = residentBytes(pid);
  let most = before;
  let over = false;
  const done = work().finally(() => {
    over = true;
  });
  while (!over) {
    most = Math.max(most, residentBytes(pid));
    await sleep(20);
  }
  await done;
  return most - before;
}

/** The child of a process that runs a program of this name. */
export function childNamed(parent: number, program: string): number {
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const [, name, ppid] = /^\d+ \((.*)\) \S (\d+) /s.exec(readFileSync(`/proc/${entry}/stat`, "utf8")) ?? [];
      if (name === program && Number(ppid) === parent) return Number(entry);
    } catch {} // gone meanwhile
  }
  throw new Error(`process ${parent} has no child ${program}`);
}
