import fc from "fast-check";
import { expect, test } from "vitest";
import { decodePoints, encodePoints } from "#domain/metrics/codec";
import { cutPoints, joinPoints } from "#domain/metrics/points";
import { METRIC_RANGES, RANGES, TIER_MS } from "#domain/metrics/values";
import { MINUTE } from "#kernel/time";
import type { MetricPoint } from "#protocol/host-agent";

const point = fc.record({
  atMs: fc.integer({ min: 0, max: 4e12 }),
  cpuPct: fc.integer({ min: 0, max: 10_000 }).map((n) => n / 100),
  memBytes: fc.integer({ min: 0, max: 2 ** 44 }),
  diskBytes: fc.integer({ min: 0, max: 2 ** 44 }),
});
const byTime = (points: MetricPoint[]) => points.sort((a, b) => a.atMs - b.atMs);
const at = (atMs: number): MetricPoint => ({ atMs, cpuPct: 1, memBytes: 2, diskBytes: 3 });
const times = (points: MetricPoint[]) => points.map(({ atMs }) => atMs);

test("points come back as they were stored", () => {
  fc.assert(
    fc.property(fc.array(point), (points) => {
      expect(decodePoints(encodePoints(points))).toEqual(points);
    }),
  );
  expect(decodePoints(encodePoints([{ ...at(1), cpuPct: 33.33333 }]))).toEqual([{ ...at(1), cpuPct: 33.33 }]);
});

test("ten minutes of points take few bytes", () => {
  const points = Array.from({ length: 1200 }, (_, n) => ({
    atMs: 1_790_000_000_000 + n * 500 + (n % 3),
    cpuPct: (n * 7) % 100,
    memBytes: 200_000_000 + (n % 50) * 4096,
    diskBytes: 5_000_000 + n * 4096,
  }));
  expect(encodePoints(points).length).toBeLessThan(14_000);
});

test("every range is within the tier that serves it (R265, R267)", () => {
  expect(METRIC_RANGES.map((range) => RANGES[range].tier)).toEqual(["10m", "10m", "2h", "2h", "24h", "24h", "24h"]);
  for (const range of METRIC_RANGES) expect(RANGES[range].windowMs).toBeLessThanOrEqual(TIER_MS[RANGES[range].tier]);
});

test("lives of a sandbox join in order, and the later one holds where both tell (R272)", () => {
  const history = fc.array(point).map(byTime);
  fc.assert(
    fc.property(history, history, (earlier, later) => {
      const joined = joinPoints(earlier, later);
      expect(times(joined)).toEqual(times(byTime([...joined])));
      expect(joined.slice(joined.length - later.length)).toEqual(later);
    }),
  );
  expect(times(joinPoints([at(1), at(5), at(9)], [at(5), at(7)]))).toEqual([1, 5, 7]);
  expect(times(joinPoints([at(1)], []))).toEqual([1]);
});

test("a window ends now, or with the newest point", () => {
  const points = [at(0), at(4 * MINUTE), at(5 * MINUTE), at(6 * MINUTE)];
  expect(times(cutPoints(points, MINUTE))).toEqual([5 * MINUTE, 6 * MINUTE]);
  expect(times(cutPoints(points, 2 * MINUTE, 7 * MINUTE))).toEqual([5 * MINUTE, 6 * MINUTE]);
  expect(cutPoints(points, MINUTE, 60 * MINUTE)).toEqual([]);
  expect(cutPoints([], MINUTE)).toEqual([]);
});
