import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { Refusal } from "./refusal.ts";

/** Finds a program as a shell would, or refuses with `command_not_found`. */
export function findProgram(program: string, cwd: string, path: string): string {
  const candidates = program.includes("/")
    ? [isAbsolute(program) ? program : join(cwd, program)]
    : path.split(":").map((folder) => join(isAbsolute(folder) ? folder : join(cwd, folder), program));
  const found = candidates.find(isExecutable);
  if (found === undefined) throw new Refusal("command_not_found", "no such program");
  return found;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Unit of the shell's `ulimit -f`. */
export const LIMIT_UNIT_BYTES = 512;

/** The largest file this program may write, in units of `ulimit -f`; a high random number when nothing limits it. */
export function ownFileSizeUnits(): number {
  const unlimited = 2 ** 33 + Math.floor(Math.random() * 2 ** 32);
  if (process.platform !== "linux") return unlimited;
  const hard = /^Max file size +\S+ +(\d+) /m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
  return hard === undefined ? unlimited : Math.floor(Number(hard) / LIMIT_UNIT_BYTES);
}
