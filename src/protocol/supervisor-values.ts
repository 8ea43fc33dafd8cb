/** The constants of the supervisor's protocol, apart from its schemas: the supervisor itself loads no zod. */

/** Every way the supervisor refuses, with the HTTP status it answers. */
export const SUPERVISOR_ERRORS = {
  invalid: 400,
  invalid_path: 400,
  path_not_allowed: 403,
  root_mutation: 400,
  file_not_found: 404,
  directory_not_found: 404,
  entry_not_found: 404,
  exec_not_found: 404,
  process_not_found: 404,
  entry_exists: 409,
  entry_conflict: 409,
  directory_not_empty: 409,
  not_a_regular_file: 409,
  not_a_directory: 400,
  precondition_failed: 412,
  not_supported: 501,
  conflict: 409,
  disk_full: 507,
  port_closed: 502,
  too_large: 413,
  internal: 500,
} as const;
export type SupervisorErrorCode = keyof typeof SUPERVISOR_ERRORS;

/** Bytes kept of each output stream unless the request says otherwise; the rest is dropped and reported. */
export const DEFAULT_OUTPUT_LIMIT = 16 * 1024 * 1024;

export const FILE_SORTS = ["name", "updatedAt", "sizeBytes", "type"] as const;

/** Limits of a sandbox that a host agent can see a command run into (of the disk: that it became full meanwhile); `LIMIT_HEADER` of its answer names one. */
export const EXEC_LIMITS = ["memory", "processes", "disk"] as const;
export type ExecLimit = (typeof EXEC_LIMITS)[number];
export const LIMIT_HEADER = "x-exec-limit";

/** Where a sandbox's files are, seen from inside. */
export const WORKSPACE_ROOT = "/workspace";

/** Bytes of a process's newest output that are kept for those who attach, unless its request says otherwise. */
export const KEPT_OUTPUT = { terminal: 1024 * 1024, other: 256 * 1024, most: 4 * 1024 * 1024 } as const;

export const MAX_TAG_LENGTH = 128;

export const OUTPUT_STREAMS = ["stdout", "stderr", "tty"] as const;
export type OutputStream = (typeof OUTPUT_STREAMS)[number];

export const KILL_SIGNALS = ["SIGKILL", "SIGTERM"] as const;
export type KillSignal = (typeof KILL_SIGNALS)[number];

/** The most that one `input` request may carry. */
export const MAX_INPUT_BYTES = 4 * 1024 * 1024;

/** A stream that has nothing to tell says so after this long, so that both ends notice a connection that was lost. */
export const STREAM_PING_MS = 20_000;

/** Media type of a process's stream: one JSON object a line. */
export const STREAM_TYPE = "application/x-ndjson";
