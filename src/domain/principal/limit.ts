import type { Limit, LimitState } from "#domain/principal/ports";

/**
 * Counts requests against a limit that refills evenly (the generic cell rate algorithm). The whole memory of a limit is
 * one time, at which it will be full again; `fullAt` is that, or 0 at first. Pure.
 */
export function take(limit: Limit, fullAt: number, now: number): { state: LimitState; fullAt: number } {
  const { quota, windowMs } = limit;
  const perRequestMs = windowMs / quota;
  const before = Math.max(fullAt, now);
  const after = before + perRequestMs;
  const excess = after - now - windowMs;
  if (excess > 0) return { state: stateOf(limit, before, now, Math.ceil(excess)), fullAt: before };
  return { state: stateOf(limit, after, now, 0), fullAt: after };
}

function stateOf(limit: Limit, fullAt: number, now: number, retryAfterMs: number): LimitState {
  const resetMs = Math.ceil(fullAt - now);
  const remaining = Math.max(0, Math.floor((limit.windowMs - resetMs) / (limit.windowMs / limit.quota)));
  return { ...limit, remaining, resetMs, retryAfterMs };
}
