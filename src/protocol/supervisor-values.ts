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
  entry_exists: 409,
  entry_conflict: 409,
  directory_not_empty: 409,
  not_a_regular_file: 409,
  precondition_failed: 412,
  command_not_found: 400,
  conflict: 409,
  disk_full: 507,
  too_large: 413,
  internal: 500,
} as const;
export type SupervisorErrorCode = keyof typeof SUPERVISOR_ERRORS;

/** Bytes kept of each output stream unless the request says otherwise; the rest is dropped and reported. */
export const DEFAULT_OUTPUT_LIMIT = 16 * 1024 * 1024;

export const FILE_SORTS = ["name", "updatedAt", "sizeBytes", "type"] as const;

/** Limits of a sandbox that a host agent can see a command run into; `LIMIT_HEADER` of its answer names one. */
export const EXEC_LIMITS = ["memory", "processes"] as const;
export type ExecLimit = (typeof EXEC_LIMITS)[number];
export const LIMIT_HEADER = "x-exec-limit";

/** Where a sandbox's files are, seen from inside. */
export const WORKSPACE_ROOT = "/workspace";
