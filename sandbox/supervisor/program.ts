import { accessSync, constants, readFileSync, type Stats, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";

const candidatesFor = (program: string, cwd: string, path: string): string[] =>
  program.includes("/")
    ? [isAbsolute(program) ? program : join(cwd, program)]
    : path.split(":").map((folder) => join(isAbsolute(folder) ? folder : join(cwd, folder), program));

/** Finds a program as a shell would; undefined when there is none. */
export const findProgram = (program: string, cwd: string, path: string): string | undefined =>
  candidatesFor(program, cwd, path).find(isExecutable);

/** A shell's words and exit code for a program that cannot be started. */
export function whyNotStarted(program: string, cwd: string, path: string): { message: string; exitCode: 126 | 127 } {
  const found = candidatesFor(program, cwd, path)
    .map(statsOf)
    .find((stats) => stats !== undefined);
  if (found === undefined) {
    const what = program.includes("/") ? "No such file or directory" : "command not found";
    return { message: `${program}: ${what}`, exitCode: 127 };
  }
  return { message: `${program}: ${found.isDirectory() ? "Is a directory" : "Permission denied"}`, exitCode: 126 };
}

function statsOf(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch {
    return undefined;
  }
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
