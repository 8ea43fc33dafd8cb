import { readFileSync } from "node:fs";

/** Kills a process or sends it another signal; one that has ended already is fine. */
export function killQuietly(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
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
