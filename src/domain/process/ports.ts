import type {
  KillSignal,
  ProcessInfo,
  ProcessLine,
  ProcessRequest,
  StartedProcess,
  TerminalSize,
} from "#protocol/supervisor";

/**
 * What a process says, from `start` to `exit`, one line after the other as the reader takes them. A process that is not
 * known, or may not be started, is a `Fault` before the first line; a connection that is lost is `host_lost`, never an
 * exit.
 */
export type ProcessStream = AsyncGenerator<ProcessLine, void>;

/**
 * The processes of a running sandbox that outlive their requests. A selector is a tag, or a process id when it is all
 * digits; one that names nothing is `process_not_found`.
 */
export interface ProcessLink {
  /** Throws `sandbox_not_found` or `sandbox_not_running` unless the sandbox runs at this moment. */
  ready(): Promise<void>;
  /** Starts a process and answers at once. A tag that is taken is a `conflict`. */
  start(request: ProcessRequest): Promise<StartedProcess>;
  /** Those that run, oldest first. */
  list(): Promise<ProcessInfo[]>;
  /** SIGKILL answers when the whole tree is dead, SIGTERM when it was told. */
  kill(selector: string, signal: KillSignal): Promise<void>;
  /** Starts a process that ends with its reader: giving the stream up, or aborting `signal`, kills its tree. */
  own(request: ProcessRequest, signal: AbortSignal): ProcessStream;
  /** Follows a process from an offset of its output on, `now`, or as many bytes back as a negative number says. */
  attach(selector: string, after: number | "now", signal: AbortSignal): ProcessStream;
  /** Passes bytes to its input, after those of earlier calls that were answered. */
  write(selector: string, bytes: Uint8Array): Promise<void>;
  resize(selector: string, size: TerminalSize): Promise<void>;
}
