import { setTimeout as sleep } from "node:timers/promises";
import { startBubblewrap } from "#scripts/bench/bare-bubblewrap";
import { byTurns, type Row, timed } from "#scripts/bench/measure";
import type { Api } from "#scripts/lib/api";

/** Disks of unusual sizes begin here. */
const DISK_MB = 1024;
const TURNS = { warm: 30, cold: 30 };
const AIMS_MS = { warm: 30, cold: 120 };
/** Longer than a host takes to have the next one ready. */
const REFILL_MS = 500;
const POLL_MS = 2;
const RUNNING_WITHIN_MS = 90_000;

type Sizes = Partial<Record<"vcpus" | "memory_mb" | "disk_size_mb", number>>;

/** Sizes that nobody asked for before, so that no host has such a one ready. */
export const unusual = (n: number): Sizes => ({ disk_size_mb: DISK_MB + n });

/** Capsules as a client of the public API makes and uses them. */
export class Capsules {
  readonly #call: Api;

  constructor(call: Api) {
    this.#call = call;
  }

  /** Creates one and waits until it runs; answers the milliseconds that took as well. */
  async create(sizes: Sizes = {}): Promise<{ id: string; bootMs: number }> {
    const started = performance.now();
    const { id } = await this.#call<{ id: string }>("POST", "/v1/capsules", sizes);
    await this.#until(id, "running");
    return { id, bootMs: performance.now() - started };
  }

  /** Answers once nothing of it is left. */
  async destroy(id: string): Promise<void> {
    await this.#call("DELETE", `/v1/capsules/${id}`);
    await this.#until(id, "stopped");
  }

  async exec(id: string, cmd: string, ...args: string[]): Promise<string> {
    const answer = await this.#call<{ stdout: string }>("POST", `/v1/capsules/${id}/exec`, { cmd, args });
    return answer.stdout;
  }

  /** Starts a process and answers the call that kills it. */
  async process(id: string, script: string): Promise<() => Promise<unknown>> {
    const path = `/v1/capsules/${id}`;
    const body = { cmd: "/bin/sh", args: ["-c", script], background: true };
    const { tag } = await this.#call<{ tag: string }>("POST", `${path}/exec`, body);
    return () => this.#call("DELETE", `${path}/processes/${tag}`);
  }

  async #until(id: string, wanted: string): Promise<void> {
    const deadline = performance.now() + RUNNING_WITHIN_MS;
    for (;;) {
      const { status } = await this.#call<{ status: string }>("GET", `/v1/capsules/${id}`);
      if (status === wanted) return;
      if (status === "error" || performance.now() > deadline) throw new Error(`a capsule is ${status}, not ${wanted}`);
      await sleep(POLL_MS);
    }
  }
}

/** From the request that creates a capsule to the answer that it runs: from those kept ready, and without. */
export async function measureCapsules(capsules: Capsules): Promise<Row[]> {
  const rows: Row[] = [];
  for (const kind of ["warm", "cold"] as const) {
    const create = async (turn: number) => {
      if (kind === "warm") await sleep(REFILL_MS);
      const { id, bootMs } = await capsules.create(kind === "warm" ? {} : unusual(turn));
      await capsules.destroy(id);
      return bootMs;
    };
    const { ours, bare } = await byTurns(TURNS[kind], create, () => timed(startBubblewrap), 3);
    rows.push({
      figure: `create a capsule to running, ${kind}, p50`,
      value: `${ours.toFixed(0)} ms, ${(ours / bare).toFixed(2)} x a bare bubblewrap start (${bare.toFixed(1)} ms)`,
      aim: `<= ${AIMS_MS[kind]} ms`,
      met: ours <= AIMS_MS[kind],
    });
  }
  return rows;
}
