import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { WORKSPACE_ROOT } from "#protocol/supervisor-values";
import { Command } from "./command.ts";
import type { CheckedExec } from "./input.ts";
import { KilledEarly } from "./killed.ts";
import type { ExecOutcome } from "./output.ts";
import { closeWriters, Pipes } from "./pipes.ts";
import { killMarked, MARKER, type TreeMark } from "./processes.ts";
import { findProgram, LIMIT_UNIT_BYTES, ownFileSizeUnits } from "./program.ts";
import { Refusal } from "./refusal.ts";
import type { Workspace } from "./workspace.ts";

const BASE_PATH = "/usr/local/bin:/usr/bin:/bin";

const SHELL = "/bin/sh";
const MARKS = 100_000;
/** Time that an answer takes to leave. */
const ANSWER_MS = 10;

/** Runs commands, each in a process group of its own, and kills them with everything they started. */
export class Commands {
  readonly #workspace: Workspace;
  readonly #running = new Map<string, Command>();
  readonly #killedEarly = new KilledEarly();
  readonly #prefix = `${randomBytes(8).toString("hex")}.`;
  readonly #largestFileUnits = ownFileSizeUnits();
  readonly #pipes = new Pipes();
  #count = 0;

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
  }

  /**
   * Runs a command to its end. Aborting `signal` kills its tree. A command is over when its process is: children it
   * left behind live on, but nobody waits for them.
   */
  async run(request: CheckedExec, signal: AbortSignal): Promise<ExecOutcome> {
    this.#checkName(request.execId);
    const command = await this.#start(request);
    const onAbort = () => void command.kill();
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    try {
      return await command.finish(request.stdin, request.timeoutMs);
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#running.delete(request.execId);
      this.makeReady();
    }
  }

  /** Kills a running command; answers when its whole tree is dead. One that has not started yet will not start. */
  async kill(execId: string): Promise<void> {
    const command = this.#running.get(execId);
    if (command) return command.kill();
    this.#killedEarly.add(execId);
    throw new Refusal("exec_not_found", "no such command is running");
  }

  /** Prepares for the next commands, once the answer at hand is on its way. */
  makeReady(): void {
    setTimeout(() => this.#pipes.replenish(), ANSWER_MS);
  }

  /** Kills whatever this supervisor ever started, without waiting. */
  killAll(): void {
    killMarked(this.#prefix);
  }

  #nextMark(): TreeMark {
    const number = this.#count++;
    const units = this.#largestFileUnits - 1 - (number % MARKS);
    return { rootPid: null, marker: `${this.#prefix}${number}`, fileSizeLimit: units * LIMIT_UNIT_BYTES };
  }

  /** Starts the command. Its name is taken only at the end, after the last chance to be refused. */
  async #start(request: CheckedExec): Promise<Command> {
    const cwd = this.#directory(request.cwd);
    const mark = this.#nextMark();
    const base: Record<string, string> = { PATH: BASE_PATH, HOME: this.#workspace.root, LANG: "C.UTF-8" };
    const env: Record<string, string> = { ...base, ...request.env, [MARKER]: mark.marker };
    const args = shellArguments(request.command, mark, (program) => findProgram(program, cwd, env.PATH ?? BASE_PATH));
    const pipes = await this.#pipes.take();
    try {
      this.#checkName(request.execId);
      const input = request.stdin === undefined ? "ignore" : "pipe";
      const child = spawn(SHELL, args, {
        cwd,
        env,
        detached: true,
        stdio: [input, pipes.stdout.descriptor, pipes.stderr.descriptor],
      });
      const outputs = { stdout: pipes.stdout.readable, stderr: pipes.stderr.readable };
      const command = new Command(child, outputs, mark, request.outputLimit);
      this.#running.set(request.execId, command);
      return command;
    } catch (error) {
      pipes.stdout.readable.destroy();
      pipes.stderr.readable.destroy();
      throw error;
    } finally {
      closeWriters(pipes);
    }
  }

  #checkName(execId: string): void {
    if (this.#running.has(execId)) throw new Refusal("conflict", "a command with this execId is running");
    if (this.#killedEarly.has(execId)) throw new Refusal("conflict", "this command was killed before it started");
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

/**
 * What the shell is told: to give the command its own limit on file size (see `TreeMark`), to make it the first choice
 * when memory runs out, and then to run the command line, or to become the program.
 */
function shellArguments(command: CheckedExec["command"], mark: TreeMark, find: (program: string) => string): string[] {
  const units = mark.fileSizeLimit / LIMIT_UNIT_BYTES;
  const prelude = `{ echo 500 >/proc/self/oom_score_adj; ulimit -f ${units}; } 2>/dev/null;`;
  if (typeof command === "string") return ["-c", `${prelude} ${command}`];
  const [program = "", ...args] = command;
  return ["-c", `${prelude} exec "$0" "$@"`, find(program), ...args];
}
