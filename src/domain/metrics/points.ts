import type { MetricPoint } from "#protocol/host-agent";

/** Two histories of one sandbox as one, oldest first: from where `later` begins it alone holds. */
export function joinPoints(earlier: readonly MetricPoint[], later: readonly MetricPoint[]): MetricPoint[] {
  const begin = later[0]?.atMs ?? Number.POSITIVE_INFINITY;
  return [...earlier.filter(({ atMs }) => atMs < begin), ...later];
}

/** The points of the last `windowMs` before `until`; without one, before the newest point. */
export function cutPoints(points: readonly MetricPoint[], windowMs: number, until?: number): MetricPoint[] {
  const end = until ?? points.at(-1)?.atMs ?? 0;
  return points.filter(({ atMs }) => atMs >= end - windowMs);
}
