import { HOUR, MINUTE, SECOND } from "#kernel/time";
import type { MetricPoint, MetricTier } from "#protocol/host-agent";
import { MetricRing } from "./ring.ts";

/** Time between two samples. */
export const SAMPLE_MS = SECOND / 2;

/** What each tier keeps and how fine it is (platform R267). */
const TIERS: Record<MetricTier, { keptMs: number; stepMs: number }> = {
  "10m": { keptMs: 10 * MINUTE, stepMs: SAMPLE_MS },
  "2h": { keptMs: 2 * HOUR, stepMs: 30 * SECOND },
  "24h": { keptMs: 24 * HOUR, stepMs: 5 * MINUTE },
};

/** One sandbox's history at three grains. Time for which there are no samples takes no room. */
export class MetricTiers {
  readonly #fine = new MetricRing(TIERS["10m"].keptMs / SAMPLE_MS);
  readonly #averages = { "2h": new Averages(TIERS["2h"]), "24h": new Averages(TIERS["24h"]) };

  push(sample: MetricPoint): void {
    this.#fine.push(sample);
    for (const tier of Object.values(this.#averages)) tier.push(sample);
  }

  points(tier: MetricTier): MetricPoint[] {
    return tier === "10m" ? this.#fine.points() : this.#averages[tier].points();
  }
}

/** Averages over periods of the clock. A point carries its period's begin; the last one is of the period that goes on. */
class Averages {
  readonly #ring: MetricRing;
  readonly #stepMs: number;
  #sum: MetricPoint | undefined;
  #count = 0;

  constructor({ keptMs, stepMs }: { keptMs: number; stepMs: number }) {
    this.#ring = new MetricRing(keptMs / stepMs - 1);
    this.#stepMs = stepMs;
  }

  push({ atMs, cpuPct, memBytes, diskBytes }: MetricPoint): void {
    const begin = Math.floor(atMs / this.#stepMs) * this.#stepMs;
    if (this.#sum?.atMs !== begin) {
      const ended = this.#average();
      if (ended) this.#ring.push(ended);
      this.#sum = { atMs: begin, cpuPct: 0, memBytes: 0, diskBytes: 0 };
      this.#count = 0;
    }
    this.#sum.cpuPct += cpuPct;
    this.#sum.memBytes += memBytes;
    this.#sum.diskBytes += diskBytes;
    this.#count++;
  }

  points(): MetricPoint[] {
    const current = this.#average();
    const ended = this.#ring.points();
    if (!current) return ended;
    return [...ended.filter(({ atMs }) => atMs < current.atMs), current];
  }

  #average(): MetricPoint | undefined {
    if (!this.#sum) return undefined;
    const { atMs, cpuPct, memBytes, diskBytes } = this.#sum;
    return {
      atMs,
      cpuPct: cpuPct / this.#count,
      memBytes: Math.round(memBytes / this.#count),
      diskBytes: Math.round(diskBytes / this.#count),
    };
  }
}
