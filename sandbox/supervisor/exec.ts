import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { accessSync, constants as fsConstants, readFileSync, statSync } from "node:fs";
import { constants } from "node:os";
import { isAbsolute, join } from "node:path";
import type { Readable } from "node:stream";
import { WORKSPACE_ROOT } from "#protocol/supervisor-values";
import type { CheckedExec } from "./input.ts";
import { type ExecOutcome, OutputCapture } from "./output.ts";
import { killMarked, killTree, MARKER, type TreeMark } from "./processes.ts";
import { Refusal } from "./refusal.ts";
import type { Workspace } from "./workspace.ts";

const BASE_PATH = "/usr/local/bin:/usr/bin:/bin";
/** How long output may still arrive after the process itself has ended: a child left behind may hold the pipes. */
const DRAIN_MS = 50;

/**
 * Gives the command its own limit on file size (see `TreeMark`) and makes it the out-of-memory killer's first choice,
 * then becomes the command.
 */
const PRELUDE = '{ echo 500 >/proc/self/oom_score_adj; ulimit -f "$0"; } 2>/dev/null; exec "$@"';
const LIMIT_UNIT_BYTES = 512;
const MARKS = 100_000;

type Running = { kill: () => Promise<void> };

/** Runs commands, each in a process group of its own, and kills them with everything they started. */
export class Commands {
  readonly #workspace: Workspace;
  readonly #running = new Map<string, Running>();
  readonly #prefix = `${randomBytes(8).toString("hex")}.`;
  readonly #largestFileUnits = ownFileSizeUnits();
  #count = 0;

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
  }

  /**
   * Runs a command to its end. Aborting `signal` kills its tree. A command is over when its process is: children it
   * left behind live on, but nobody waits for them.
   */
  async run(request: CheckedExec, signal: AbortSignal): Promise<ExecOutcome> {
    if (this.#running.has(request.execId)) throw new Refusal("conflict", "a command with this execId is running");
    const mark = this.#nextMark();
    const startedAt = performance.now();
    const child = this.#spawn(request, mark);
    const ended = endOf(child);
    let dying: Promise<void> | undefined;
    const kill = () => {
      dying ??= killTree(() => ({ ...mark, rootPid: isAlive(child) ? (child.pid ?? null) : null })).then(
        () => void child.kill("SIGKILL"),
      );
      return dying;
    };
    this.#running.set(request.execId, { kill: () => kill().then(() => ended.then(() => undefined)) });
    let timedOut = false;
    const timer =
      request.timeoutMs && setTimeout(() => ((timedOut = true), kill()), Math.min(request.timeoutMs, 2 ** 31 - 1));
    const onAbort = () => void kill();
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    try {
      child.stdin?.on("error", () => {}).end(request.stdin);
      const outputs = [child.stdout, child.stderr].map((stream) => capture(stream, request.outputLimit));
      const { code, signalName } = await ended;
      await Promise.race([Promise.all(outputs.map(({ done }) => done)), delay(DRAIN_MS)]);
      await dying;
      const [stdout, stderr] = outputs.map(({ finish }) => finish());
      if (!stdout || !stderr) throw new Error("a command has two outputs");
      return {
        stdout: stdout.bytes,
        stderr: stderr.bytes,
        exitCode: signalName ? 128 + constants.signals[signalName] : (code ?? 0),
        signal: signalName,
        timedOut,
        truncated: stdout.truncated || stderr.truncated,
        durationMs: Math.round(performance.now() - startedAt),
      };
    } finally {
      clearTimeout(timer || undefined);
      signal.removeEventListener("abort", onAbort);
      this.#running.delete(request.execId);
    }
  }

  /** Kills a running command; answers when its whole tree is dead. */
  async kill(execId: string): Promise<void> {
    const running = this.#running.get(execId);
    if (!running) throw new Refusal("exec_not_found", "no such command is running");
    await running.kill();
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

  #spawn(request: CheckedExec, mark: TreeMark): ChildProcess {
    const cwd = this.#directory(request.cwd);
    const env = {
      PATH: BASE_PATH,
      HOME: this.#workspace.root,
      LANG: "C.UTF-8",
      ...request.env,
      [MARKER]: mark.marker,
    };
    const [program = "", ...args] =
      typeof request.command === "string" ? ["/bin/sh", "-c", request.command] : request.command;
    const file = findProgram(program, cwd, env.PATH);
    const units = String(mark.fileSizeLimit / LIMIT_UNIT_BYTES);
    return spawn("/bin/sh", ["-c", PRELUDE, units, file, ...args], {
      cwd,
      env,
      detached: true,
      stdio: [request.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
  }

  /** A working directory: of the workspace, or any other absolute one that the sandbox has. */
  #directory(cwd = WORKSPACE_ROOT): string {
    const foreign = isAbsolute(cwd) && cwd !== WORKSPACE_ROOT && !cwd.startsWith(`${WORKSPACE_ROOT}/`);
    const path = foreign ? cwd : this.#workspace.onDisk(this.#workspace.locate(cwd));
    if (path.includes("\0")) throw new Refusal("invalid_path", "a path holds a NUL byte");
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
      throw new Refusal("directory_not_found", "the working directory does not exist");
    }
    return path;
  }
}

/** Finds a program as a shell would. The shell in between could only answer with exit code 127. */
function findProgram(program: string, cwd: string, path: string): string {
  const candidates = program.includes("/")
    ? [isAbsolute(program) ? program : join(cwd, program)]
    : path.split(":").map((directory) => join(isAbsolute(directory) ? directory : join(cwd, directory), program));
  const found = candidates.find(isExecutable);
  if (found === undefined) throw new Refusal("command_not_found", "no such program");
  return found;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, fsConstants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

type Captured = { bytes: Buffer; truncated: boolean };

/** Collects a stream until `finish`; from then on it is still read, since closing it would kill who writes to it. */
function capture(stream: Readable | null, limit: number): { done: Promise<void>; finish: () => Captured } {
  if (!stream) throw new Error("a command has two outputs");
  const output = new OutputCapture(limit);
  const push = (chunk: Buffer) => output.push(chunk);
  stream.on("data", push).on("error", () => {});
  const done = new Promise<void>((resolve) => stream.once("close", resolve));
  const finish = () => {
    stream.off("data", push);
    stream.resume();
    return { bytes: output.take(), truncated: output.truncated };
  };
  return { done, finish };
}

type End = { code: number | null; signalName: NodeJS.Signals | null };

function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve, reject) => {
    child.once("exit", (code, signalName) => resolve({ code, signalName }));
    child.once("error", (error) => reject(error));
  });
}

const isAlive = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;

const delay = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The largest file this program may write, in the units of `ulimit -f`; a high random number when unlimited. */
function ownFileSizeUnits(): number {
  const unlimited = 2 ** 33 + Math.floor(Math.random() * 2 ** 32);
  if (process.platform !== "linux") return unlimited;
  const hard = /^Max file size +\S+ +(\d+) /m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
  return hard === undefined ? unlimited : Math.floor(Number(hard) / LIMIT_UNIT_BYTES);
}
