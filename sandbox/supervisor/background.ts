import type { KillSignal, ProcessInfo, TerminalSize } from "#protocol/supervisor";
import { Bell } from "./bell.ts";
import type { Launch } from "./launch.ts";
import { killTree, signalTree } from "./process-tree.ts";
import { Refusal } from "./refusal.ts";
import { OutputRing } from "./ring.ts";
import { exitCodeOf, type ProcessSource } from "./source.ts";

/** How long output may still arrive after the process itself has ended: a child left behind may hold the pipes. */
const DRAIN_MS = 50;

export type Exit = { exitCode: number; signal: NodeJS.Signals | null };

/** A process on its own, and the newest of its output. */
export class BackgroundProcess {
  readonly info: ProcessInfo;
  readonly ring: OutputRing;
  /** Resolves when the process has ended and its output was read. */
  readonly finished: Promise<void>;
  readonly #source: ProcessSource;
  readonly #launch: Launch;
  #running = true;
  #exit: Exit | undefined;
  readonly #listeners = new Set<() => void>();
  #owner: { offset: number } | undefined;
  #pausedUntil: number | undefined;
  #death: Promise<void> | undefined;

  constructor(info: ProcessInfo, source: ProcessSource, launch: Launch, keep: number) {
    this.info = info;
    this.ring = new OutputRing(keep);
    this.#source = source;
    this.#launch = launch;
    const closed = source.outputs.map(({ stream, readable }) => {
      readable.on("data", (bytes: Buffer) => this.#take(stream, bytes)).on("error", () => {});
      return new Promise<void>((resolve) => readable.once("close", resolve));
    });
    this.finished = this.#finish(Promise.all(closed));
  }

  /** Whether the process itself has not ended yet. */
  get running(): boolean {
    return this.#running;
  }

  /** How it ended, once nothing more will be added to its output. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Calls back at every output and at the end, until the function that it answers is called. */
  onNews(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Makes one reader the owner: the process waits for it rather than let output go that it has not read. A terminal
   * does not wait.
   */
  own(offset: number): void {
    if (!this.info.tty) this.#owner = { offset };
  }

  /** Where the owner has got to. */
  ownerRead(offset: number): void {
    if (!this.#owner) return;
    this.#owner.offset = offset;
    if (this.#lag() <= this.ring.capacity / 4) this.#resume();
  }

  /** Ends the whole tree. SIGKILL answers when it is dead; safe to repeat. */
  async kill(signal: KillSignal): Promise<void> {
    if (signal === "SIGTERM") {
      signalTree(this.#mark(), signal);
      return;
    }
    this.#owner = undefined;
    this.#resume();
    this.#death ??= killTree(() => this.#mark());
    await this.#death;
    await this.finished;
  }

  /** Passes bytes to its input, after those of earlier calls. */
  async write(bytes: Buffer, signal: AbortSignal): Promise<void> {
    const { input } = this.#source;
    if (!input) throw new Refusal("conflict", "this process takes no input");
    if (!(await input.write(bytes, signal))) throw new Refusal("conflict", "this process does not read its input");
  }

  closeInput(): void {
    const close = this.#source.input?.close;
    if (!close) throw new Refusal("conflict", "this process has no input that could be closed");
    close();
  }

  resize(size: TerminalSize): void {
    if (!this.#source.resize) throw new Refusal("conflict", "this process is not in a terminal");
    this.#source.resize(size);
  }

  #mark() {
    return { ...this.#launch.mark, rootPid: this.#running ? this.info.pid : null };
  }

  #take(stream: Parameters<OutputRing["push"]>[0], bytes: Buffer): void {
    if (this.#exit) return;
    this.ring.push(stream, bytes);
    if (this.#owner && this.#lag() > this.ring.capacity / 2) this.#pause();
    this.#tell();
  }

  #lag(): number {
    return this.#owner ? this.ring.end - this.#owner.offset : 0;
  }

  #pause(): void {
    this.#pausedUntil = Number.POSITIVE_INFINITY;
    for (const { readable } of this.#source.outputs) readable.pause();
  }

  #resume(): void {
    if (this.#pausedUntil !== Number.POSITIVE_INFINITY) return;
    this.#pausedUntil = performance.now();
    for (const { readable } of this.#source.outputs) readable.resume();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** The exit comes from the kernel alone. What a child left behind says later is read, and dropped. */
  async #finish(closed: Promise<unknown>): Promise<void> {
    const end = await this.#source.end;
    this.#running = false;
    const { signal } = end;
    const endedAt = performance.now();
    const over = new Bell();
    void closed.then(over.ring);
    while (!(await over.heard(DRAIN_MS))) {
      if (performance.now() - Math.max(endedAt, this.#pausedUntil ?? 0) >= DRAIN_MS) break;
    }
    await this.#death;
    this.#exit = { exitCode: exitCodeOf(end), signal };
    this.#tell();
  }
}
