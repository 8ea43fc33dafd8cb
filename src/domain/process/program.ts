import { Fault, type FaultCode } from "#kernel/fault";
import type { ProcessRequest } from "#protocol/supervisor";

/** What to run: no shell is involved unless it is the program. */
export type Program = {
  command: string;
  args: readonly string[];
  env?: Record<string, string> | undefined;
  /** Relative to the workspace root, which it is when absent. */
  cwd?: string | undefined;
};

/** A program as the supervisor is told. */
export const asRequest = ({
  command,
  args,
  env,
  cwd,
}: Program): Pick<ProcessRequest, "command" | "env" | "cwd"> & {
  command: string[];
} => ({ command: [command, ...args], ...(env && { env }), ...(cwd && { cwd }) });

const WRONG_DIRECTORY: readonly FaultCode[] = [
  "directory_not_found",
  "file_not_found",
  "invalid_path",
  "path_not_allowed",
];

/** Starts a program; a working directory that is not there, or not to be used, is the caller's mistake (platform R192). */
export async function refusingDirectory<T>(start: Promise<T>): Promise<T> {
  try {
    return await start;
  } catch (error) {
    if (!(error instanceof Fault) || !WRONG_DIRECTORY.includes(error.code)) throw error;
    throw new Fault("invalid", `cwd: ${error.message}`);
  }
}
