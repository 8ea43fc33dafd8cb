import { execFile } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";

/** One pipe: what a command writes to `descriptor` comes out of `readable`. */
type Pipe = { readable: Readable; descriptor: number };
export type OutputPipes = { stdout: Pipe; stderr: Pipe };

const BATCH = 8;
const FEW = 2;

/**
 * Pipes for the output of commands. Node's own are sockets, which a program cannot open again by name, so that
 * `echo oops >/dev/stderr` would fail. Pairs are made in batches, if possible while nobody waits for one.
 */
export class Pipes {
  readonly #ready: OutputPipes[] = [];
  #filling: Promise<void> | undefined;

  /** Two fresh pipes; the caller closes the descriptors once the command has them. */
  async take(): Promise<OutputPipes> {
    for (;;) {
      const pair = this.#ready.pop();
      if (pair) return pair;
      await this.#fill();
    }
  }

  /** Makes pairs for the commands to come when few are left; without waiting, and a failure is for who takes one. */
  replenish(): void {
    if (this.#ready.length < FEW) this.#fill().catch(() => {});
  }

  #fill(): Promise<void> {
    this.#filling ??= this.#make().finally(() => {
      this.#filling = undefined;
    });
    return this.#filling;
  }

  async #make(): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "pipes-"));
    const pairs = Array.from({ length: BATCH }, (_, index) => ({
      out: join(folder, `${index}.out`),
      err: join(folder, `${index}.err`),
    }));
    try {
      await promisify(execFile)("mkfifo", ["-m", "600", ...pairs.flatMap(({ out, err }) => [out, err])]);
      for (const { out, err } of pairs) this.#ready.push({ stdout: openPipe(out), stderr: openPipe(err) });
    } finally {
      // Nameless, the pipes are nobody else's.
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** The reading end is opened first, without waiting for a writer. */
function openPipe(path: string): Pipe {
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const descriptor = openSync(path, constants.O_WRONLY);
  return { readable: new Socket({ fd: reader, readable: true, writable: false }), descriptor };
}

/** Leaves the writing ends to the command alone: only then does its output end. */
export function closeWriters({ stdout, stderr }: OutputPipes): void {
  closeSync(stdout.descriptor);
  closeSync(stderr.descriptor);
}
