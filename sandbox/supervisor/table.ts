import { MINUTE } from "#kernel/time";
import { KEPT_OUTPUT } from "#protocol/supervisor-values";
import { BackgroundProcess } from "./background.ts";
import type { CheckedProcess } from "./input.ts";
import type { Launch, Launcher } from "./launch.ts";
import { startPipedSource } from "./piped.ts";
import { Refusal } from "./refusal.ts";
import type { ProcessSource } from "./source.ts";
import { newTag, readSelector } from "./tag.ts";
import { startTerminal } from "./terminal.ts";
import { checkUser } from "./user.ts";

const MOST_RUNNING = 256;
const MOST_KEPT_BYTES = 64 * 1024 * 1024;
/** How long one that has ended can still be attached to, and how many of them. */
const FINISHED_MS = MINUTE;
const MOST_FINISHED = 32;
const MOST_FINISHED_BYTES = 8 * 1024 * 1024;

/** The processes that outlive their requests: those that run, and for a while those that have ended. */
export class Processes {
  readonly #launcher: Launcher;
  readonly #running = new Map<string, BackgroundProcess>();
  readonly #finished = new Map<string, BackgroundProcess>();
  readonly #starting = new Set<string>();

  constructor(launcher: Launcher) {
    this.#launcher = launcher;
  }

  /** Those that run, oldest first. */
  list(): BackgroundProcess[] {
    return [...this.#running.values()].filter(({ running }) => running);
  }

  /** With `owned` it keeps enough for a reader that the process waits for. */
  async start(request: CheckedProcess, { owned }: { owned: boolean }): Promise<BackgroundProcess> {
    const { tty, user, command = [this.#launcher.shell] } = request;
    if (user !== undefined) checkUser(user);
    const tag = this.#freeTag(request.tag, tty !== undefined);
    const wanted = request.keep ?? (tty ? KEPT_OUTPUT.terminal : KEPT_OUTPUT.other);
    const keep = owned ? Math.max(wanted, KEPT_OUTPUT.other) : wanted;
    this.#makeRoom(keep);
    const env = tty ? { TERM: "xterm-256color", ...request.env } : request.env;
    const launch = this.#launcher.prepare({ ...request, command, env });
    this.#starting.add(tag);
    try {
      const source = await this.#source(launch, request);
      const [program = "", ...args] = typeof command === "string" ? ["/bin/sh", "-c", command] : command;
      const startedAtMs = Date.now();
      const info = { pid: source.pid, tag, command: program, args, startedAtMs, tty: tty !== undefined };
      const process = new BackgroundProcess(info, source, launch, keep);
      this.#keep(process, launch);
      return process;
    } catch (error) {
      this.#launcher.release(launch);
      throw error;
    } finally {
      this.#starting.delete(tag);
      this.#launcher.makeReady();
    }
  }

  /** A process by its tag or id, that of one which runs before that of one which has ended. */
  find(selector: string): BackgroundProcess {
    const wanted = readSelector(selector);
    const found = [this.#running, this.#finished].flatMap((processes) =>
      "tag" in wanted
        ? (processes.get(wanted.tag) ?? [])
        : [...processes.values()].filter(({ info }) => info.pid === wanted.pid),
    )[0];
    if (!found) throw new Refusal("process_not_found", "no such process");
    return found;
  }

  /** The same, but only if it still runs. */
  findRunning(selector: string): BackgroundProcess {
    const process = this.find(selector);
    if (!process.running) throw new Refusal("process_not_found", "this process has ended");
    return process;
  }

  async #source(launch: Launch, request: CheckedProcess): Promise<ProcessSource> {
    if (request.tty) return startTerminal(this.#launcher, launch, request.tty);
    return startPipedSource(this.#launcher, launch, request.stdin);
  }

  #freeTag(wanted: string | undefined, isTerminal: boolean): string {
    const isTaken = (tag: string) => this.#starting.has(tag) || (this.#running.get(tag)?.running ?? false);
    if (wanted === undefined) {
      let tag = newTag(isTerminal);
      while (isTaken(tag)) tag = newTag(isTerminal);
      return tag;
    }
    if (isTaken(wanted)) throw new Refusal("conflict", "a process with this tag is running");
    return wanted;
  }

  #makeRoom(keep: number): void {
    const running = [...this.#running.values()];
    const kept = running.reduce((sum, { ring }) => sum + ring.capacity, 0);
    if (running.length + this.#starting.size >= MOST_RUNNING || kept + keep > MOST_KEPT_BYTES) {
      throw new Refusal("conflict", "the sandbox keeps the output of as many processes as it can");
    }
  }

  #keep(process: BackgroundProcess, launch: Launch): void {
    const { tag } = process.info;
    this.#finished.delete(tag);
    this.#running.set(tag, process);
    void process.finished.then(() => {
      this.#launcher.release(launch);
      if (this.#running.get(tag) !== process) return;
      this.#running.delete(tag);
      this.#finished.set(tag, process);
      this.#dropOldest();
      setTimeout(() => this.#finished.get(tag) === process && this.#finished.delete(tag), FINISHED_MS).unref();
    });
  }

  #dropOldest(): void {
    let bytes = [...this.#finished.values()].reduce((sum, { ring }) => sum + ring.size, 0);
    for (const [tag, { ring }] of this.#finished) {
      if (this.#finished.size <= MOST_FINISHED && bytes <= MOST_FINISHED_BYTES) return;
      this.#finished.delete(tag);
      bytes -= ring.size;
    }
  }
}
