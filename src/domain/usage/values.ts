import { DAY, HOUR, MINUTE, SECOND } from "#kernel/time";

export const STATS_RANGES = ["5m", "1h", "6h", "24h", "30d"] as const;
export type StatsRange = (typeof STATS_RANGES)[number];

/** How far back each range reaches, and the period of one point of its series (platform R279). */
export const STATS: Record<StatsRange, { windowMs: number; periodMs: number }> = {
  "5m": { windowMs: 5 * MINUTE, periodMs: 3 * SECOND },
  "1h": { windowMs: HOUR, periodMs: 30 * SECOND },
  "6h": { windowMs: 6 * HOUR, periodMs: 180 * SECOND },
  "24h": { windowMs: DAY, periodMs: 720 * SECOND },
  "30d": { windowMs: 30 * DAY, periodMs: 6 * HOUR },
};

/** Periods that are over are kept as one row each; days and the longest series are made of them. */
export const SPAN_MS = STATS["30d"].periodMs;

/** How far back peaks look, and how long single changes are kept (platform R276, R279). */
export const PEAKS_MS = 30 * DAY;
export const KEEP_CHANGES_MS = 60 * DAY;

/** Days between the first and the last of a query about usage, at most (platform R282). */
export const MAX_USAGE_DAYS = 92;
export const USAGE_DAYS = 30;
