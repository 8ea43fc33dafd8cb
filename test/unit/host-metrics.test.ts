import fc from "fast-check";
import { expect, test } from "vitest";
import type { MetricPoint } from "#protocol/host-agent";
import { ProcessTable, readProcess } from "#sandbox/host-agent/isolation/process-list";
import { MetricRing } from "#sandbox/host-agent/metrics/ring";
import { cpuPercent } from "#sandbox/host-agent/metrics/sandbox-metrics";
import { MetricTiers } from "#sandbox/host-agent/metrics/tiers";

const point = (atMs: number, value = atMs): MetricPoint => ({
  atMs,
  cpuPct: value % 100,
  memBytes: value * 4096,
  diskBytes: value * 512,
});
const steps = fc.array(fc.record({ stepMs: fc.integer({ min: -90_000, max: 400_000 }), value: fc.nat(1000) }), {
  maxLength: 400,
});
const inTime = (all: { stepMs: number; value: number }[]) => {
  let at = 1_800_000_000_000;
  return all.map(({ stepMs, value }) => {
    at += stepMs;
    return point(at, value);
  });
};
/** What a clock that only goes forward would have left. */
const forward = (points: MetricPoint[]) =>
  points.reduce<MetricPoint[]>((kept, next) => [...kept.filter(({ atMs }) => atMs < next.atMs), next], []);

test("a ring keeps exactly the newest points, in order, whatever the clock does", () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 50 }), (all, capacity) => {
      const ring = new MetricRing(capacity);
      let expected: MetricPoint[] = [];
      for (const next of inTime(all)) {
        ring.push(next);
        expected = [...expected.filter(({ atMs }) => atMs < next.atMs), next].slice(-capacity);
        expect(ring.points()).toEqual(expected);
      }
    }),
    { numRuns: 60 },
  );
});

test.for([
  ["2h", 30_000, 240],
  ["24h", 300_000, 288],
] as const)(
  "%s: each point is the average of its period's samples, strictly in order (R267)",
  ([tier, stepMs, most]) => {
    const rising = steps.map((all) => all.map(({ stepMs, value }) => ({ stepMs: Math.abs(stepMs) + 1, value })));
    fc.assert(
      fc.property(rising, (all) => {
        const tiers = new MetricTiers();
        const samples = inTime(all);
        for (const sample of samples) tiers.push(sample);
        const periods = Map.groupBy(samples, ({ atMs }) => Math.floor(atMs / stepMs) * stepMs);
        const mean = (of: MetricPoint[], field: keyof MetricPoint) =>
          of.reduce((sum, each) => sum + each[field], 0) / of.length;
        const expected = [...periods].map(([atMs, of]) => ({
          atMs,
          cpuPct: expect.closeTo(mean(of, "cpuPct"), 6),
          memBytes: Math.round(mean(of, "memBytes")),
          diskBytes: Math.round(mean(of, "diskBytes")),
        }));
        expect(tiers.points(tier)).toEqual(expected.slice(-most));
      }),
      { numRuns: 60 },
    );
  },
);

test("no tier ever goes back in time when the clock is set back", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const tiers = new MetricTiers();
      for (const sample of inTime(all)) tiers.push(sample);
      for (const tier of ["10m", "2h", "24h"] as const) {
        const times = tiers.points(tier).map(({ atMs }) => atMs);
        expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
      }
      expect(tiers.points("10m")).toEqual(forward(inTime(all)).slice(-1200));
    }),
    { numRuns: 60 },
  );
});

test("ten minutes every half second, two hours and a day are kept, no more (R267)", () => {
  const tiers = new MetricTiers();
  const begin = Date.parse("2026-01-01T00:00:00Z");
  for (let at = 0; at < 26 * 3600_000; at += 500) tiers.push(point(begin + at, 50));
  const span = (tier: "10m" | "2h" | "24h") => {
    const points = tiers.points(tier);
    return { count: points.length, stepMs: points[1]!.atMs - points[0]!.atMs };
  };
  expect(span("10m")).toEqual({ count: 1200, stepMs: 500 });
  expect(span("2h")).toEqual({ count: 240, stepMs: 30_000 });
  expect(span("24h")).toEqual({ count: 288, stepMs: 300_000 });
});

test.for([
  [500, 1000, 1, 50],
  [500, 1000, 2, 25],
  [1000, 1000, 2, 50],
  [9999, 1000, 2, 100],
  [-10, 1000, 1, 0],
  [10, 0, 1, 0],
])("%d ms computed in %d ms on %d processors is %d percent (R268)", ([cpu = 0, elapsed = 0, vcpus = 0, percent]) => {
  expect(cpuPercent(cpu, elapsed, vcpus)).toBe(percent);
});

test("a process is read whatever it is called, and a tree has its parents first", () => {
  const line = (pid: number, parent: number) =>
    `${pid} (a ) b) S ${parent} 1 1 0 -1 4194560 9 9 0 0 ${pid} 20 300 4000 20 0 1 0 99 5000000 77 18446744073709551615`;
  expect(readProcess(line(7, 3))).toEqual({ pid: 7, parent: 3, state: "S", ticks: 4327, pages: 77 });
  expect(readProcess("")).toBeUndefined();
  const table = new ProcessTable(
    [line(5, 4), line(4, 2), line(3, 2), line(2, 1), line(9, 1)].flatMap((l) => readProcess(l)!),
  );
  expect(table.tree(2).map(({ pid }) => pid)).toEqual([2, 4, 3, 5]);
  expect(table.tree(99)).toEqual([]);
});
