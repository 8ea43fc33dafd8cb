import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { killQuietly } from "./quietly.ts";

const DIAGNOSTICS_BYTES = 4096;
const GRACE_MS = 500;

/** Resolves when the child has ended, with what it said on its error stream, or how it ended if it was silent. */
export function exitOf(child: ChildProcess, diagnostics: Readable | null): Promise<string> {
  let said = "";
  diagnostics?.setEncoding("utf8").on("data", (text: string) => {
    if (said.length < DIAGNOSTICS_BYTES) said += text.slice(0, DIAGNOSTICS_BYTES - said.length);
  });
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => {
      const end = signal === null ? `exit code ${code}` : `signal ${signal}`;
      setImmediate(() => resolve(said.trim() || `ended with ${end}`));
    });
  });
}

/** Gives an ending child a moment, then kills it and the processes named. */
export async function endWithin(
  child: ChildProcess,
  exited: Promise<unknown>,
  others: readonly number[],
): Promise<void> {
  const inTime = await Promise.race([exited.then(() => true), sleep(GRACE_MS, false)]);
  if (!inTime) {
    for (const pid of others) killQuietly(pid);
    child.kill("SIGKILL");
  }
  await exited;
}
