import { type ChildProcess, fork } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const READY_MS = 60_000;

/** A product process that can be killed like a machine that loses power, as far as a process can be. */
export class Victim {
  readonly url: string;
  readonly #child: ChildProcess;
  #queries = 0;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
  }

  static async start(dataDir: string, port: number, vars: Record<string, string>, bundle?: string): Promise<Victim> {
    const program = join(import.meta.dirname, "serve.ts");
    const child = fork(program, [dataDir, String(port), JSON.stringify(vars), ...(bundle ? [bundle] : [])], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const { ready } = await reply<{ ready: string }>(child, (message) => "ready" in message, READY_MS);
    return new Victim(ready, child);
  }

  /** Reads D1 without a request to the product: no object is woken by it. */
  async query<T>(sql: string): Promise<T[]> {
    const id = ++this.#queries;
    const answer = reply<{ id: number; results: T[] }>(this.#child, (message) => message.id === id, 30_000);
    this.#child.send({ id, sql });
    return (await answer).results;
  }

  /** SIGKILL for the process and everything below it, at once. */
  async kill(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    for (const pid of tree(this.#child.pid ?? 0)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {}
    }
    await gone;
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.disconnect();
    await gone;
  }
}

/** A process and its descendants, parents first. */
function tree(root: number): number[] {
  const children = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        const parent = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${entry}/status`, "utf8"))?.[1];
        return Number(parent) === root ? [Number(entry)] : [];
      } catch {
        return [];
      }
    });
  return [root, ...children.flatMap(tree)];
}

function reply<T>(
  child: ChildProcess,
  wanted: (message: Record<string, unknown>) => boolean,
  withinMs: number,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const done = (finish: () => void) => {
      clearTimeout(timer);
      child.off("message", hear).off("close", die);
      finish();
    };
    const hear = (message: Record<string, unknown>) => {
      if (wanted(message)) done(() => resolve(message as T));
    };
    const die = () => done(() => reject(new Error("the product process ended")));
    const timer = setTimeout(() => done(() => reject(new Error("the product process did not answer"))), withinMs);
    child.on("message", hear).once("close", die);
  });
}
