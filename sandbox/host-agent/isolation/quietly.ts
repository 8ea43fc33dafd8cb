import { readFileSync } from "node:fs";

/** Kills a process; one that has ended already is fine. */
export function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended already.
  }
}

/** The text of a file of the kernel; empty when what it tells about is gone. */
export function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
