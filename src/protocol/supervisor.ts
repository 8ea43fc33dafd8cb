import { z } from "zod";
import {
  DEFAULT_OUTPUT_LIMIT,
  EXEC_LIMITS,
  KEPT_OUTPUT,
  MAX_TAG_LENGTH,
  OUTPUT_STREAMS,
  SUPERVISOR_ERRORS,
  type SupervisorErrorCode,
} from "#protocol/supervisor-values";

/**
 * Version 1 of the HTTP interface of the supervisor, the one program inside every sandbox. On a host it is spoken as
 * HTTP/2 over an inherited socket, through the host agent; paths below are relative to `/v1`.
 *
 *   GET    /health                                   200 { v: 1, pid }
 *   PUT    /environment         { env }              204: variables of whatever is started from then on, unless its
 *                                                    request sets them
 *   POST   /exec                ExecRequest          200 ExecResult once the process has ended
 *   DELETE /exec/{execId}                            204 when its whole process tree is dead; 404 when it is not known,
 *                                                    and then an exec of that name is refused for some seconds
 *   POST   /processes           ProcessRequest       200 StartedProcess at once; the process outlives the request
 *   POST   /processes?owned=stream  ProcessRequest   200 ProcessLines from its start; closing the answer kills the tree
 *   GET    /processes                                200 ProcessList: those that run
 *   GET    /processes/{selector}/stream[?after]      200 ProcessLines; a reader that comes or leaves changes nothing
 *   POST   /processes/{selector}/input  body: bytes  204 once they are on their way to the process, in order
 *   DELETE /processes/{selector}/input               204: its standard input ends (not for a terminal)
 *   POST   /processes/{selector}/resize { cols, rows }  204: the size of its terminal
 *   DELETE /processes/{selector}?signal              204: SIGKILL (the default) when its whole tree is dead, SIGTERM
 *                                                    when the tree was told; 404 once it has ended
 *   POST   /ports/{port}                             200: from then on the request's body goes to that port of the
 *                                                    sandbox's loopback, and what comes from there is the answer's
 *   GET    /files/stat?path                          200 FileStat
 *   GET    /files/list?path&sortBy&order&offset&limit 200 FileList: direct children
 *   GET    /files/content?path[&maxBytes]            200 bytes; header `x-file-stat` holds the FileStat, URI-encoded JSON
 *   PUT    /files/content?path&overwrite[&ifMatch][&mtimeMs]  body: bytes; 200 FileStat. Parents are made, the file
 *                                                    is replaced atomically
 *   GET    /files/tree?path&depth&limit              200 FileTree: what is below, down to a depth of 1 (0 is the same) or
 *                                                    more, in order of path; symlinks are told, not followed
 *   POST   /files/mkdir         { path, parents[, exclusive] }  200 FileStat; with exclusive one that is there is refused
 *   POST   /files/move          { source, target, overwrite }  200 FileStat
 *   DELETE /files?path&recursive                     200 { kind }
 *   GET    /files/glob?pattern&path&limit            200 { paths, truncated }: files, newest first
 *
 * A selector is a tag, or a process id when it is all digits. A process that has ended can be attached to for a minute.
 * `after` says where a stream begins, in bytes of the process's whole output: an offset, `now`, or `-N` for the last N
 * bytes that are kept; all that is kept when it is absent.
 *
 * Closing an exec request kills its process tree. Paths are absolute below the workspace root, or relative to it, which
 * is also `~`; a path that leaves it, also through a symlink, is refused. Failures are `{ code, message }` with a code of the list.
 */
export * from "#protocol/supervisor-values";

export const SupervisorError = z.object({
  code: z.enum(Object.keys(SUPERVISOR_ERRORS) as [SupervisorErrorCode, ...SupervisorErrorCode[]]).catch("internal"),
  message: z.string(),
});

/**
 * A program that cannot be started ends with exit code 127 or 126 and says why on its error stream, as in a shell; so does
 * a process's.
 */
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

/** Its own names only; who else the command could run as is refused as `not_supported`. */
const User = z.string().min(1);

const TerminalSize = z.object({ cols: z.int().min(1).max(65_535), rows: z.int().min(1).max(65_535) });
export type TerminalSize = z.infer<typeof TerminalSize>;

/** A process that outlives its request. */
export const ProcessRequest = z.object({
  /** A live process's tag is a `conflict`, one of digits only is refused. Made up when absent. */
  tag: z.string().min(1).max(MAX_TAG_LENGTH).optional(),
  /** As for an exec. May be absent with `tty`, which then runs a shell. */
  command: z.union([z.string().min(1), z.array(z.string()).min(1)]).optional(),
  cwd: z.string().min(1).optional(),
  env: z.record(z.string(), z.string()).optional(),
  user: User.optional(),
  /** Runs in a terminal of this size. */
  tty: TerminalSize.optional(),
  /** Without it a process that is not in a terminal has no input. */
  stdin: z.literal("pipe").optional(),
  /** Bytes of the newest output that are kept. */
  keep: z.int().positive().max(KEPT_OUTPUT.most).optional(),
});
export type ProcessRequest = z.infer<typeof ProcessRequest>;

export const StartedProcess = z.object({ pid: z.int(), tag: z.string() });
export type StartedProcess = z.infer<typeof StartedProcess>;

/** A command line shows as the shell's arguments. */
export const ProcessInfo = StartedProcess.extend({
  command: z.string(),
  args: z.array(z.string()),
  startedAtMs: z.int(),
  tty: z.boolean(),
});
export type ProcessInfo = z.infer<typeof ProcessInfo>;
export const ProcessList = z.object({ processes: z.array(ProcessInfo) });

const Offset = z.int().nonnegative();

/**
 * One line of a process's stream. `offset` counts the bytes of its output on all streams together; `gap` stands for
 * bytes that are not kept any more, because their reader was slow or came late. `exit` is the last line; a stream that
 * ends without it was lost. `exitCode` is 128 + signal number when a signal ended the process.
 */
export const ProcessLine = z.discriminatedUnion("type", [
  z.object({ type: z.literal("start"), ...StartedProcess.shape, offset: Offset }),
  z.object({ type: z.literal("data"), stream: z.enum(OUTPUT_STREAMS), offset: Offset, data: z.base64() }),
  z.object({ type: z.literal("gap"), from: Offset, to: Offset }),
  z.object({ type: z.literal("ping") }),
  z.object({ type: z.literal("exit"), exitCode: z.int(), signal: z.string().nullable() }),
]);
export type ProcessLine = z.infer<typeof ProcessLine>;

/** `path` is absolute inside the sandbox. `etag` is weak: size, modification time and inode. Times in milliseconds. */
export const FileStat = z.object({
  path: z.string(),
  name: z.string(),
  kind: z.enum(["file", "directory", "symlink", "other"]),
  size: z.number().nonnegative(),
  mtimeMs: z.number(),
  birthtimeMs: z.number(),
  mode: z.int(),
  /** As `ls -l` shows it. */
  permissions: z.string(),
  /** Names as the sandbox knows them, else numbers. */
  owner: z.string(),
  group: z.string(),
  etag: z.string(),
  symlinkTarget: z.string().nullable(),
});
export type FileStat = z.infer<typeof FileStat>;

export const FileList = z.object({ entries: z.array(FileStat), total: z.int() });
export type FileList = z.infer<typeof FileList>;

/** `truncated` when there was more than the limit. */
export const FileTree = z.object({ entries: z.array(FileStat), truncated: z.boolean() });
export type FileTree = z.infer<typeof FileTree>;

export const RemovedEntry = z.object({ kind: z.enum(["file", "directory"]) });
export const GlobResult = z.object({ paths: z.array(z.string()), truncated: z.boolean() });
export type GlobResult = z.infer<typeof GlobResult>;
