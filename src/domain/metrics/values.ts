import { HOUR, MINUTE } from "#kernel/time";
import type { MetricTier } from "#protocol/host-agent";

/** How far back each tier reaches (platform R267). */
export const TIER_MS: Record<MetricTier, number> = { "10m": 10 * MINUTE, "2h": 2 * HOUR, "24h": 24 * HOUR };

export const METRIC_RANGES = ["5m", "10m", "1h", "2h", "6h", "12h", "24h"] as const;
export type MetricRange = (typeof METRIC_RANGES)[number];

/** The tier that serves a range, and the window it is cut to. */
export const RANGES: Record<MetricRange, { tier: MetricTier; windowMs: number }> = {
  "5m": { tier: "10m", windowMs: 5 * MINUTE },
  "10m": { tier: "10m", windowMs: 10 * MINUTE },
  "1h": { tier: "2h", windowMs: HOUR },
  "2h": { tier: "2h", windowMs: 2 * HOUR },
  "6h": { tier: "24h", windowMs: 6 * HOUR },
  "12h": { tier: "24h", windowMs: 12 * HOUR },
  "24h": { tier: "24h", windowMs: 24 * HOUR },
};
