import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import type { ProcessTable } from "./process-list.ts";
import { readOrEmpty } from "./quietly.ts";

/** `cpuMs` is processor time since some moment before the first reading, `memBytes` memory that is resident now. */
export type Usage = { cpuMs: number; memBytes: number };

/** Measures one sandbox; undefined when there is nothing to measure any more. Closing is safe to repeat. */
export interface Meter {
  read(processes: () => ProcessTable): Usage | undefined;
  close(): void;
}

/** The kernel's unit in /proc, whatever its timer. */
const TICK_MS = 10;
const PAGE_BYTES = 4096;
const NS_PER_MS = 1_000_000;
const US_PER_MS = 1000;
/** Larger than any file that is read. */
const BUFFER = Buffer.alloc(16 * 1024);

/** Where control groups tell processor time, and how many of its units make a millisecond: versions 1 and 2. */
const CPU_COUNTERS = [
  { file: "cpuacct.usage", pattern: /^(\d+)/, perMs: NS_PER_MS },
  { file: "cpu.stat", pattern: /^usage_usec (\d+)/m, perMs: US_PER_MS },
];
/** Where they tell anonymous memory, and files that live in memory; version 1 counts its subgroups apart. */
const MEMORY_COUNTERS = [
  { file: "memory.stat", pattern: /^total_rss (\d+)/m, also: /^total_shmem (\d+)/m },
  { file: "memory.stat", pattern: /^anon (\d+)/m, also: /^shmem (\d+)/m },
];

/** Reads the counters of a control group; their files stay open, since opening them costs more than reading. */
export class GroupMeter implements Meter {
  readonly #cpu: CpuCounter;
  readonly #memory: MemoryCounter;
  #isOpen = true;

  private constructor(cpu: CpuCounter, memory: MemoryCounter) {
    this.#cpu = cpu;
    this.#memory = memory;
  }

  /** Undefined where the folders of a sandbox's group do not count both. */
  static open(directories: readonly string[]): GroupMeter | undefined {
    const cpu = findCounter(CPU_COUNTERS, directories);
    const memory = findCounter(MEMORY_COUNTERS, directories);
    return cpu && memory && new GroupMeter(opened(cpu), opened(memory));
  }

  read(): Usage | undefined {
    if (!this.#isOpen) return undefined;
    try {
      const { perMs, pattern } = this.#cpu;
      const cpuMs = numberIn(contentOf(this.#cpu), pattern) / perMs;
      const stat = contentOf(this.#memory);
      return { cpuMs, memBytes: numberIn(stat, this.#memory.pattern) + numberIn(stat, this.#memory.also) };
    } catch {
      return undefined;
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#cpu.descriptor);
    closeSync(this.#memory.descriptor);
  }
}

/** Adds up the processes below one, for machines without control groups: shared pages count for each that has them. */
export class TreeMeter implements Meter {
  readonly #root: () => number | undefined;

  constructor(root: () => number | undefined) {
    this.#root = root;
  }

  read(processes: () => ProcessTable): Usage | undefined {
    const root = this.#root();
    const tree = root === undefined ? [] : processes().tree(root);
    if (tree.length === 0) return undefined;
    const sum = (field: "ticks" | "pages") => tree.reduce((total, each) => total + each[field], 0);
    return { cpuMs: sum("ticks") * TICK_MS, memBytes: sum("pages") * PAGE_BYTES };
  }

  close(): void {
    // It holds nothing.
  }
}

type Counter = { file: string; pattern: RegExp };
type Opened<T> = T & { descriptor: number };
type CpuCounter = Opened<(typeof CPU_COUNTERS)[number]>;
type MemoryCounter = Opened<(typeof MEMORY_COUNTERS)[number]>;

function findCounter<T extends Counter>(counters: readonly T[], directories: readonly string[]) {
  const places = counters.flatMap((counter) => directories.map((at) => ({ ...counter, path: join(at, counter.file) })));
  return places.find(({ path, pattern }) => pattern.test(readOrEmpty(path)));
}

const opened = <T extends { path: string }>(counter: T): Opened<T> => ({
  ...counter,
  descriptor: openSync(counter.path, "r"),
});

function contentOf({ descriptor }: { descriptor: number }): string {
  return BUFFER.toString("latin1", 0, readSync(descriptor, BUFFER, 0, BUFFER.length, 0));
}

const numberIn = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0);
