import { z } from "zod";
import {
  DEFAULT_OUTPUT_LIMIT,
  EXEC_LIMITS,
  SUPERVISOR_ERRORS,
  type SupervisorErrorCode,
} from "#protocol/supervisor-values";

/**
 * Version 1 of the HTTP interface of the supervisor, the one program inside every sandbox. On a host it is spoken as
 * HTTP/2 over an inherited socket, through the host agent; paths below are relative to `/v1`.
 *
 *   GET    /health                                   200 { v: 1, pid }
 *   POST   /exec                ExecRequest          200 ExecResult once the process has ended
 *   DELETE /exec/{execId}                            204 when its whole process tree is dead; 404 when it is not known,
 *                                                    and then an exec of that name is refused for some seconds
 *   GET    /files/stat?path                          200 FileStat
 *   GET    /files/list?path&sortBy&order&offset&limit 200 FileList: direct children
 *   GET    /files/content?path[&maxBytes]            200 bytes; header `x-file-stat` holds the FileStat, URI-encoded JSON
 *   PUT    /files/content?path&overwrite[&ifMatch][&mtimeMs]  body: bytes; 200 FileStat. Parents are made, the file
 *                                                    is replaced atomically
 *   POST   /files/mkdir         { path, parents }    200 FileStat
 *   POST   /files/move          { source, target, overwrite }  200 FileStat
 *   DELETE /files?path&recursive                     200 { kind }
 *   GET    /files/glob?pattern&path&limit            200 { paths, truncated }: files, newest first
 *
 * Closing an exec request kills its process tree. Paths are absolute below the workspace root, or relative to it; a
 * path that leaves it, also through a symlink, is refused. Failures are `{ code, message }` with a code of the list.
 */
export * from "#protocol/supervisor-values";

export const SupervisorError = z.object({
  code: z.enum(Object.keys(SUPERVISOR_ERRORS) as [SupervisorErrorCode, ...SupervisorErrorCode[]]).catch("internal"),
  message: z.string(),
});

export const ExecRequest = z.object({
  /** Stable name of this command, so that it can be killed and a repeat is recognised. */
  execId: z.string().min(1).max(200),
  /** A shell command line (`sh -c`), or the argument vector of a program. */
  command: z.union([z.string().min(1), z.array(z.string()).min(1)]),
  cwd: z.string().min(1).optional(),
  env: z.record(z.string(), z.string()).optional(),
  stdin: z.string().optional(),
  /** Milliseconds until the process tree is killed; none when absent. */
  timeoutMs: z.int().positive().optional(),
  outputLimit: z.int().positive().max(DEFAULT_OUTPUT_LIMIT).optional(),
});
export type ExecRequest = z.infer<typeof ExecRequest>;

/**
 * `exitCode` is 128 + signal number when a signal ended the process. `encoding` holds for both streams. `limit` is the
 * limit that the sandbox ran into meanwhile, where its host can tell.
 */
export const ExecResult = z.object({
  stdout: z.string(),
  stderr: z.string(),
  encoding: z.enum(["utf8", "base64"]),
  exitCode: z.int(),
  signal: z.string().nullable(),
  timedOut: z.boolean(),
  truncated: z.boolean(),
  durationMs: z.number(),
  limit: z.enum(EXEC_LIMITS).optional(),
});
export type ExecResult = z.infer<typeof ExecResult>;

/** `path` is absolute inside the sandbox. `etag` is weak: size, modification time and inode. Times in milliseconds. */
export const FileStat = z.object({
  path: z.string(),
  name: z.string(),
  kind: z.enum(["file", "directory", "symlink", "other"]),
  size: z.number().nonnegative(),
  mtimeMs: z.number(),
  birthtimeMs: z.number(),
  mode: z.int(),
  etag: z.string(),
  symlinkTarget: z.string().nullable(),
});
export type FileStat = z.infer<typeof FileStat>;

export const FileList = z.object({ entries: z.array(FileStat), total: z.int() });
export type FileList = z.infer<typeof FileList>;

export const RemovedEntry = z.object({ kind: z.enum(["file", "directory"]) });
export const GlobResult = z.object({ paths: z.array(z.string()), truncated: z.boolean() });
export type GlobResult = z.infer<typeof GlobResult>;
