import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { type ExecOutcome, OutputCapture } from "./output.ts";
import { killTree, type TreeMark } from "./process-tree.ts";

/** How long output may still arrive after the process itself has ended: a child left behind may hold the pipes. */
const DRAIN_MS = 50;
/** The longest a timer of Node can be set to. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

type End = { code: number | null; signal: NodeJS.Signals | null };

type Outputs = { stdout: Readable; stderr: Readable };

/** One running command. */
export class Command {
  readonly #child: ChildProcess;
  readonly #mark: TreeMark;
  readonly #startedAt = performance.now();
  readonly #end: Promise<End>;
  readonly #stdout: Capture;
  readonly #stderr: Capture;
  #death: Promise<void> | undefined;
  #timedOut = false;

  constructor(child: ChildProcess, outputs: Outputs, mark: TreeMark, outputLimit: number) {
    this.#child = child;
    this.#mark = mark;
    this.#end = new Promise((resolve, reject) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
      child.once("error", reject);
    });
    this.#stdout = new Capture(outputs.stdout, outputLimit);
    this.#stderr = new Capture(outputs.stderr, outputLimit);
  }

  /** Gives the command its input and waits for its end, or kills it when its time is up. */
  async finish(stdin: string | undefined, timeoutMs: number | undefined): Promise<ExecOutcome> {
    const time = timeoutMs === undefined ? undefined : Math.min(timeoutMs, LONGEST_TIMER_MS);
    const timer = time === undefined ? undefined : setTimeout(() => this.#expire(), time);
    try {
      this.#child.stdin?.on("error", () => {}).end(stdin);
      const { code, signal } = await this.#end;
      await Promise.race([Promise.all([this.#stdout.closed, this.#stderr.closed]), sleep(DRAIN_MS)]);
      await this.#death;
      return {
        stdout: this.#stdout.take(),
        stderr: this.#stderr.take(),
        exitCode: signal ? 128 + constants.signals[signal] : (code ?? 0),
        signal,
        timedOut: this.#timedOut,
        truncated: this.#stdout.truncated || this.#stderr.truncated,
        durationMs: Math.round(performance.now() - this.#startedAt),
      };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Kills the whole tree and answers when it is dead; safe to repeat. */
  async kill(): Promise<void> {
    this.#death ??= killTree(() => ({ ...this.#mark, rootPid: this.#rootPid() }));
    await this.#death;
    await this.#end.catch(() => undefined);
  }

  #expire(): void {
    this.#timedOut = true;
    void this.kill();
  }

  /** Its process id, as long as that cannot have been given to another process. */
  #rootPid(): number | null {
    const { exitCode, signalCode, pid } = this.#child;
    return exitCode === null && signalCode === null ? (pid ?? null) : null;
  }
}

/** Collects a stream until `take`; from then on it is still read, since closing it would kill who writes to it. */
class Capture {
  readonly closed: Promise<void>;
  readonly #output: OutputCapture;
  readonly #stop: () => void;

  constructor(stream: Readable, limit: number) {
    this.#output = new OutputCapture(limit);
    const push = (chunk: Buffer) => this.#output.push(chunk);
    stream.on("data", push).on("error", () => {});
    this.closed = new Promise((resolve) => stream.once("close", resolve));
    this.#stop = () => void stream.off("data", push).resume();
  }

  get truncated(): boolean {
    return this.#output.truncated;
  }

  take(): Buffer {
    this.#stop();
    return this.#output.take();
  }
}
