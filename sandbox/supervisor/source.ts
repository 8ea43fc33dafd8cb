import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import type { OutputStream, TerminalSize } from "#protocol/supervisor";

/** How a process ended, as its parent was told by the kernel. */
export type End = { code: number | null; signal: NodeJS.Signals | null };

/** A process that was just started, whatever it is connected to. */
export type ProcessSource = {
  pid: number;
  outputs: { stream: OutputStream; readable: Readable }[];
  /** Never rejects. */
  end: Promise<End>;
  input: ProcessInput | null;
  resize: ((size: TerminalSize) => void) | null;
};

/** The way to a process's input. Bytes are taken in the order of the calls. */
export interface ProcessInput {
  /** Answers once there is room for more, or nobody will read any more; false when the bytes could not be taken. */
  write(bytes: Buffer, signal: AbortSignal): Promise<boolean>;
  /** Ends the input; null where that cannot be. */
  readonly close: (() => void) | null;
}

/** Bytes that may wait for a process which does not read. */
export const MOST_WAITING_BYTES = 8 * 1024 * 1024;

/** As a shell tells it: 128 and the number of the signal. */
export const exitCodeOf = ({ code, signal }: End): number => (signal ? 128 + constants.signals[signal] : (code ?? 0));

export const endOf = (child: ChildProcess): Promise<End> =>
  new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
