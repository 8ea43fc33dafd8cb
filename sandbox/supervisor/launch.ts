import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { isAbsolute } from "node:path";
import type { Readable } from "node:stream";
import { WORKSPACE_ROOT } from "#protocol/supervisor-values";
import { closeWriters, Pipes } from "./pipes.ts";
import { killMarked, MARKER, type TreeMark } from "./process-tree.ts";
import { findProgram, LIMIT_UNIT_BYTES, ownFileSizeUnits, whyNotStarted } from "./program.ts";
import { Refusal } from "./refusal.ts";
import type { Workspace } from "./workspace.ts";

const BASE_PATH = "/usr/local/bin:/usr/bin:/bin";
const SHELL = "/bin/sh";
const BASH = "/bin/bash";
const MARKS = 100_000;
/** Time that an answer takes to leave. */
const ANSWER_MS = 10;

/** A shell command line, or the argument vector of a program. */
export type CommandLine = string | string[];
export type LaunchRequest = { command: CommandLine; cwd?: string | undefined; env: Record<string, string> };

/** Everything a new process is given: what to run, and how to find its whole tree again. */
export type Launch = { mark: TreeMark; file: string; args: string[]; cwd: string; env: Record<string, string> };

/** A child whose output comes through pipes that it can open again by name. */
export type Piped = { child: ChildProcess; stdout: Readable; stderr: Readable };

/** Prepares and starts the processes of a sandbox, each in a process group and with a mark of its own. */
export class Launcher {
  readonly #workspace: Workspace;
  #environment: Readonly<Record<string, string>>;
  readonly #prefix = `${randomBytes(8).toString("hex")}.`;
  readonly #largestFileUnits = ownFileSizeUnits();
  readonly #pipes = new Pipes();
  readonly #marksInUse = new Set<number>();
  readonly #inheritable = new Set<number>();
  #count = 0;

  /** `environment` is given to everything, unless a request says otherwise. */
  constructor(workspace: Workspace, environment: Readonly<Record<string, string>>) {
    this.#workspace = workspace;
    this.#environment = environment;
  }

  /** Adds variables to those that everything is given from then on. */
  extendEnvironment(env: Readonly<Record<string, string>>): void {
    this.#environment = { ...this.#environment, ...env };
  }

  /** The shell of a terminal that was not told what to run. */
  get shell(): string {
    return existsSync(BASH) ? BASH : SHELL;
  }

  /** Works out what to run, and refuses a missing directory; `release` ends it. */
  prepare(request: LaunchRequest): Launch {
    const cwd = this.#directory(request.cwd);
    const base: Record<string, string> = { PATH: BASE_PATH, HOME: this.#workspace.root, LANG: "C.UTF-8" };
    const env: Record<string, string> = { ...base, ...this.#environment, ...request.env };
    const path = env.PATH ?? BASE_PATH;
    const line = shellLine(request.command, cwd, path);
    const mark = this.#nextMark();
    env[MARKER] = mark.marker;
    return { mark, file: SHELL, args: shellArguments(line, mark), cwd, env };
  }

  /** Frees the mark of a launch once its process has ended, or was not started. */
  release({ mark }: Launch): void {
    this.#marksInUse.delete(mark.fileSizeLimit);
  }

  /** Starts a launch with pipes for its output; `check` can still refuse right before. */
  async startPiped(launch: Launch, input: "ignore" | "pipe", check: () => void): Promise<Piped> {
    const pipes = await this.#pipes.take();
    try {
      check();
      const { file, args } = this.sealed(launch);
      const child = spawn(file, args, {
        cwd: launch.cwd,
        env: launch.env,
        detached: true,
        stdio: [input, pipes.stdout.descriptor, pipes.stderr.descriptor],
      });
      return { child, stdout: pipes.stdout.readable, stderr: pipes.stderr.readable };
    } catch (error) {
      pipes.stdout.readable.destroy();
      pipes.stderr.readable.destroy();
      throw error;
    } finally {
      closeWriters(pipes);
    }
  }

  /** Prepares for the next commands, once the answer at hand is on its way. */
  makeReady(): void {
    setTimeout(() => this.#pipes.replenish(), ANSWER_MS);
  }

  /** Notes a descriptor that every new process would inherit, until it is closed. */
  noteInheritable(descriptor: number): () => void {
    this.#inheritable.add(descriptor);
    return () => void this.#inheritable.delete(descriptor);
  }

  /** What to run so that none of those descriptors is inherited. */
  sealed({ file, args }: Launch): { file: string; args: string[] } {
    if (this.#inheritable.size === 0 || !existsSync(BASH)) return { file, args };
    // The small shell that runs everything else cannot name a descriptor above 9.
    const closing = [...this.#inheritable].map((descriptor) => `${descriptor}>&-`).join(" ");
    return { file: BASH, args: ["-p", "-c", `exec ${closing}; exec "$0" "$@"`, file, ...args] };
  }

  /** Kills whatever was ever started, without waiting. */
  killAll(): void {
    killMarked(this.#prefix);
  }

  /** Marks come round again after many starts; one that is in use is passed over. */
  #nextMark(): TreeMark {
    for (;;) {
      const number = this.#count++;
      const units = this.#largestFileUnits - 1 - (number % MARKS);
      const fileSizeLimit = units * LIMIT_UNIT_BYTES;
      if (this.#marksInUse.has(fileSizeLimit)) continue;
      this.#marksInUse.add(fileSizeLimit);
      return { rootPid: null, marker: `${this.#prefix}${number}`, fileSizeLimit };
    }
  }

  /** A working directory: of the workspace, or any other absolute one that the sandbox has. */
  #directory(cwd = WORKSPACE_ROOT): string {
    const isForeign = isAbsolute(cwd) && cwd !== WORKSPACE_ROOT && !cwd.startsWith(`${WORKSPACE_ROOT}/`);
    const path = isForeign ? cwd : this.#workspace.onDisk(this.#workspace.locate(cwd));
    if (path.includes("\0")) throw new Refusal("invalid_path", "a path holds a NUL byte");
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
      throw new Refusal("directory_not_found", "the working directory does not exist");
    }
    return path;
  }
}

/** A command line for the shell, and what becomes its `$0`, `$1` and so on. */
type ShellLine = { line: string; parameters: string[] };

const becoming = (program: string, args: string[]): ShellLine => ({
  line: 'exec "$0" "$@"',
  parameters: [program, ...args],
});

/** A program that cannot be started becomes one that says so and ends as a shell would. */
function shellLine(command: CommandLine, cwd: string, path: string): ShellLine {
  if (typeof command === "string") return { line: command, parameters: [] };
  const [program = "", ...args] = command;
  const found = findProgram(program, cwd, path);
  if (found !== undefined) return becoming(found, args);
  const { message, exitCode } = whyNotStarted(program, cwd, path);
  return { line: `printf '%s\\n' "$1" >&2; exit ${exitCode}`, parameters: [SHELL, message] };
}

/**
 * What the shell is told: to give the command its own limit on file size (see `TreeMark`), to make it the first choice
 * when memory runs out, and then to run the command line.
 */
function shellArguments({ line, parameters }: ShellLine, mark: TreeMark): string[] {
  const units = mark.fileSizeLimit / LIMIT_UNIT_BYTES;
  const prelude = `{ echo 500 >/proc/self/oom_score_adj; ulimit -f ${units}; } 2>/dev/null;`;
  return ["-c", `${prelude} ${line}`, ...parameters];
}
