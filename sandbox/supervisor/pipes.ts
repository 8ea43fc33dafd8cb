import { execFile } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, unlinkSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";

/** One pipe: what a command writes to `descriptor` comes out of `readable`. */
type Pipe = { readable: Readable; descriptor: number };
export type OutputPipes = { stdout: Pipe; stderr: Pipe };

/**
 * Pipes for the output of commands. Node's own are sockets, which a program cannot open again by name, so that
 * `echo oops >/dev/stderr` would fail. A pair is always ready, made while nobody waits for it.
 */
export class Pipes {
  readonly #folder = mkdtempSync(join(tmpdir(), "pipes-"));
  #count = 0;
  #next: Promise<OutputPipes>;

  constructor() {
    this.#next = this.#make();
  }

  /** Two fresh pipes; the caller closes the descriptors once the command has them. */
  take(): Promise<OutputPipes> {
    const pair = this.#next;
    this.#next = pair.then(
      () => this.#make(),
      () => this.#make(),
    );
    // A failure is for whoever takes the pair.
    this.#next.catch(() => {});
    return pair;
  }

  async #make(): Promise<OutputPipes> {
    const number = this.#count++;
    const [out, err] = [join(this.#folder, `${number}.out`), join(this.#folder, `${number}.err`)];
    await promisify(execFile)("mkfifo", ["-m", "600", out, err]);
    return { stdout: openPipe(out), stderr: openPipe(err) };
  }
}

/** The reading end is opened first, without waiting for a writer; nameless, the pipe is nobody else's. */
function openPipe(path: string): Pipe {
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const descriptor = openSync(path, constants.O_WRONLY);
  unlinkSync(path);
  return { readable: new Socket({ fd: reader, readable: true, writable: false }), descriptor };
}

/** Leaves the writing ends to the command alone: only then does its output end. */
export function closeWriters({ stdout, stderr }: OutputPipes): void {
  closeSync(stdout.descriptor);
  closeSync(stderr.descriptor);
}
