import { readFileSync } from "node:fs";

/** Processor time that a process has used, in hundredths of a second; it fails when there is no such process. Linux. */
export function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The program's name is in parentheses and may hold anything, so fields are counted from the last one.
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number);
  return user + system;
}
