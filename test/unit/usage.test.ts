import fc from "fast-check";
import { expect, test } from "vitest";
import { SANDBOX_STATUSES } from "#domain/sandbox/status";
import { type Change, floorTo, type Line, periodsOf, SAMPLE_MS } from "#domain/usage/line";
import { type Load, loadOf, maximum, NO_LOAD, plus } from "#domain/usage/load";
import { STATS, STATS_RANGES } from "#domain/usage/values";
import { HOUR, MINUTE, SECOND } from "#kernel/time";

const small = fc.integer({ min: 0, max: 8 });
const load = fc.record({ running: small, vcpus: small, memoryMb: fc.integer({ min: 0, max: 4096 }) });
const change = fc
  .record({ at: fc.integer({ min: 0, max: HOUR }) })
  .chain(({ at }) => load.map((one) => ({ at, ...one })));
const line = fc
  .record({ before: load, changes: fc.array(change, { maxLength: 40 }) })
  .map(({ before, changes }): Line => ({ before, changes: changes.sort((a, b) => a.at - b.at) }));

const at = ({ before, changes }: Line, time: number): Load =>
  changes.filter((one: Change) => one.at <= time).reduce<Load>(plus, before);

/** What somebody finds who looks every ten seconds, and writes down the most of each period. */
function sampled(of: Line, from: number, to: number, periodMs: number): Map<number, Load> {
  const periods = new Map<number, Load>();
  for (let time = 0; time < to; time += SAMPLE_MS) {
    if (time < from) continue;
    const begin = floorTo(time, periodMs);
    periods.set(begin, maximum(periods.get(begin) ?? NO_LOAD, at(of, time)));
  }
  return periods;
}

test.for(STATS_RANGES)("the maxima of %s are those of somebody who samples every 10 seconds (R279)", (range) => {
  const { periodMs } = STATS[range];
  const times = fc.tuple(fc.integer({ min: 0, max: HOUR }), fc.integer({ min: 1, max: HOUR }));
  fc.assert(
    fc.property(line, times, (of, [from, length]) => {
      // A line knows nothing of what came before its begin.
      const known = { before: of.before, changes: of.changes.filter((one) => one.at >= from) };
      const periods = periodsOf(known, from, from + length, periodMs).filter((one) => one.sampled);
      expect(new Map(periods.map(({ begin, max }) => [begin, max]))).toEqual(
        sampled(known, from, from + length, periodMs),
      );
    }),
  );
});

test("what is reserved is exact, and as near to what samples tell as they can be (R284)", () => {
  fc.assert(
    fc.property(line, (of) => {
      const total = periodsOf(of, 0, HOUR, 6 * MINUTE).reduce((sum, { vcpuMs }) => sum + vcpuMs, 0);
      let [exact, naive] = [0, 0];
      for (const [n, { at: begin }] of [{ at: 0 }, ...of.changes].entries()) {
        exact += at(of, begin).vcpus * ((of.changes[n]?.at ?? HOUR) - begin);
      }
      for (let time = 0; time < HOUR; time += SAMPLE_MS) naive += at(of, time).vcpus * SAMPLE_MS;
      const off = of.changes.reduce((sum, { vcpus }) => sum + vcpus * SAMPLE_MS, 0);
      expect(total).toBe(exact);
      expect(Math.abs(total - naive)).toBeLessThanOrEqual(off);
    }),
  );
});

test("periods cover all of the time, and only those between two samples have none", () => {
  const periods = periodsOf({ before: NO_LOAD, changes: [] }, 1, 30 * SECOND, 3 * SECOND);
  expect(periods.map(({ begin }) => begin)).toEqual([0, 3, 6, 9, 12, 15, 18, 21, 24, 27].map((n) => n * SECOND));
  expect(periods.filter((one) => one.sampled).map(({ begin }) => begin)).toEqual([9 * SECOND, 18 * SECOND]);
});

test("starting and running sandboxes count in full, paused ones with half their memory, others not (R278)", () => {
  const spec = { vcpus: 2, memoryMb: 513 };
  const full = { running: 1, ...spec };
  const counted = SANDBOX_STATUSES.filter((status) => loadOf(status, spec) !== NO_LOAD);
  expect(counted).toEqual(["starting", "running", "paused"]);
  expect(loadOf("starting", spec)).toEqual(full);
  expect(loadOf("running", spec)).toEqual(full);
  expect(loadOf("paused", spec)).toEqual({ running: 0, vcpus: 0, memoryMb: 257 });
});
