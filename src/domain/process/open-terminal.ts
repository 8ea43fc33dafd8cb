import type { ProcessLink, ProcessStream } from "#domain/process/ports";
import { refusingDirectory } from "#domain/process/program";
import { Fault } from "#kernel/fault";
import type { TerminalSize } from "#protocol/supervisor";

/** What is told again to who comes back to a terminal. */
const SCROLLBACK_BYTES = 64 * 1024;
const SHELL = "/bin/bash";

export type NewTerminal = {
  /** A shell when absent. */
  command?: string | undefined;
  args?: readonly string[] | undefined;
  size: TerminalSize;
  env?: Record<string, string> | undefined;
  cwd?: string | undefined;
  /** Only the sandbox's own user can be asked for; another one is `not_supported`. */
  user?: string | undefined;
};

export type OpenTerminal = { tag: string; lines: ProcessStream };

/** Starts a terminal that outlives its viewers, and follows it from its beginning until `signal` aborts. */
export async function startTerminal(
  processes: ProcessLink,
  { command, args = [], size, env, cwd, user }: NewTerminal,
  signal: AbortSignal,
): Promise<OpenTerminal> {
  // Without arguments the sandbox chooses the shell that it has.
  const program = command === undefined && args.length === 0 ? {} : { command: [command ?? SHELL, ...args] };
  const more = { ...(env && { env }), ...(cwd && { cwd }), ...(user && { user }) };
  const { tag } = await refusingDirectory(processes.start({ tty: size, ...program, ...more }));
  return { tag, lines: processes.attach(tag, 0, signal) };
}

/** Follows a terminal that is there, from the newest of its output on; throws `process_not_found`. */
export async function rejoinTerminal(processes: ProcessLink, tag: string, signal: AbortSignal): Promise<OpenTerminal> {
  const running = (await processes.list()).find((one) => one.tag === tag);
  if (/^\d+$/.test(tag) || running?.tty === false) throw new Fault("process_not_found", "no terminal has this tag");
  return { tag, lines: processes.attach(tag, -SCROLLBACK_BYTES, signal) };
}
