import type { Load } from "#domain/usage/load";
import type { StatsRange } from "#domain/usage/values";

/** A sandbox counts for `load` from `at` on. `seq` grows with each report of a sandbox; one that is known is ignored. */
export type LoadReport = { sandboxId: string; seq: number; at: number; load: Load };

export type TeamStats = {
  /** The newest sample; null before the first. */
  current: Load & { sampledAt: number | null };
  peaks: Load;
  /** The maximum of each period that has a sample, oldest first. */
  series: (Load & { at: number })[];
};

/** What was reserved on one day (UTC), in processors and megabytes times milliseconds. */
export type DayUsage = { day: number; vcpuMs: number; mbMs: number };

/** What the sandboxes of one team take up, now and in the past. Nothing is sampled: it follows from their reports. */
export interface UsageHandle {
  /** Reports of one sandbox must come in order. */
  report(report: LoadReport): Promise<void>;
  /** Samples begin at `since`. */
  stats(range: StatsRange, since: number): Promise<TeamStats>;
  /** Every day from `from` to `to`; both are days since the epoch. */
  days(from: number, to: number): Promise<DayUsage[]>;
}

/** Usage by the id of its team. */
export type UsagePort = { of(teamId: string): UsageHandle };
