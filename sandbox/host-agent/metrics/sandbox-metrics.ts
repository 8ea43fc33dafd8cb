import type { AgentMetrics, MetricTier } from "#protocol/host-agent";
import type { Started } from "../isolation/backend.ts";
import type { ProcessTable } from "../isolation/process-list.ts";
import { MetricTiers } from "./tiers.ts";

type Source = Pick<Started, "meter" | "diskBytes">;

/** Samples one sandbox and keeps what it saw. */
export class SandboxMetrics {
  readonly #tiers = new MetricTiers();
  readonly #source: Source;
  readonly #vcpus: number;
  #before: { at: number; cpuMs: number } | undefined;

  constructor(source: Source, vcpus: number) {
    this.#source = source;
    this.#vcpus = vcpus;
  }

  /** Takes a sample. Processor time is the time since the last one, so the first gives no point yet. */
  sample(processes: () => ProcessTable): void {
    const usage = this.#source.meter.read(processes);
    if (!usage) return;
    const at = performance.now();
    const before = this.#before;
    this.#before = { at, cpuMs: usage.cpuMs };
    if (!before) return;
    this.#tiers.push({
      atMs: Date.now(),
      cpuPct: cpuPercent(usage.cpuMs - before.cpuMs, at - before.at, this.#vcpus),
      memBytes: usage.memBytes,
      diskBytes: this.#source.diskBytes(),
    });
  }

  /** What follows is not to be counted together with what was before. */
  interrupt(): void {
    this.#before = undefined;
  }

  read(wanted: readonly MetricTier[]): AgentMetrics {
    return { tiers: Object.fromEntries(wanted.map((tier) => [tier, this.#tiers.points(tier)])) };
  }
}

/** Share of all processors in percent (platform R268). Clocks of the kernel tick coarsely, so it is kept within bounds. */
export function cpuPercent(cpuMs: number, elapsedMs: number, vcpus: number): number {
  if (elapsedMs <= 0) return 0;
  return Math.min(100, Math.max(0, (cpuMs / (elapsedMs * vcpus)) * 100));
}
