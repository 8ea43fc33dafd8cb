import { setTimeout as sleep } from "node:timers/promises";
import { SECOND } from "#kernel/time";
import { ProcessTable } from "./process-list.ts";
import { killQuietly } from "./quietly.ts";

const DEADLINE_MS = 5 * SECOND;
const ROUND_MS = 2;
/** Stopped, traced, a zombie, or dead. */
const STANDS_STILL = /^[TtZXx]$/;

/** Whatever can make a sandbox stand still. `kill` kills one that does. */
export interface Freezer {
  freeze(): Promise<void>;
  thaw(): void;
  kill(): void;
}

/** The part of a started supervisor that freezes it; `killFrozen` kills it if it stands still. */
export function freezable(freezer: Freezer) {
  let isFrozen = false;
  return {
    freeze: async () => {
      await freezer.freeze();
      isFrozen = true;
    },
    thaw: () => {
      freezer.thaw();
      isFrozen = false;
    },
    killFrozen: () => {
      if (isFrozen) freezer.kill();
      isFrozen = false;
    },
  };
}

/** Freezes a process and all that descend from it by signals, for machines without a control group for it. */
export class TreeFreezer implements Freezer {
  readonly #root: () => number | undefined;
  #stopped: number[] = [];

  constructor(root: () => number | undefined) {
    this.#root = root;
  }

  async freeze(): Promise<void> {
    const root = this.#root();
    if (root === undefined) throw new Error("the sandbox has not started");
    if (this.#stopped.length === 0) this.#stopped = await stopTree(root);
  }

  thaw(): void {
    continueAll(this.#stopped);
    this.#stopped = [];
  }

  kill(): void {
    for (const pid of this.#stopped) killQuietly(pid);
    this.#stopped = [];
  }
}

/**
 * Stops a process and all that descend from it, for machines without a freezer. A parent is stopped before its
 * children, and the sweep goes on until a whole round finds nothing that moves: what is forked meanwhile is found by
 * the next one. Answers with the processes to let go on later; those that stood still already are not among them.
 */
async function stopTree(root: number): Promise<number[]> {
  const stopped = new Set<number>();
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    // One that waits in the kernel, for a child to exec say, meets the signal before it can run on.
    const moving = ProcessTable.read()
      .tree(root)
      .filter(({ pid, state }) => !STANDS_STILL.test(state) && !(state === "D" && stopped.has(pid)));
    if (moving.length === 0) break;
    if (performance.now() > deadline) {
      continueAll([...stopped]);
      throw new Error("some processes did not stop in time");
    }
    for (const { pid } of moving) {
      killQuietly(pid, "SIGSTOP");
      stopped.add(pid);
    }
    await sleep(ROUND_MS);
  }
  if (stopped.size === 0) throw new Error("there is nothing to stop");
  return [...stopped];
}

/** Lets stopped processes go on, children first. */
function continueAll(pids: readonly number[]): void {
  for (const pid of pids.toReversed()) killQuietly(pid, "SIGCONT");
}
