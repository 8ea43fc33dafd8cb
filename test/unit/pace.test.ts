import fc from "fast-check";
import { expect, test } from "vitest";
import { Pace } from "#http/pace";

test("what is done at once may be done, and more takes its time", () => {
  const pace = new Pace(200, 1000);
  pace.take(1000, 5);
  expect(pace.waitMs(5)).toBe(0);
  pace.take(100, 5);
  expect(pace.waitMs(5)).toBe(500);
  expect(pace.waitMs(505)).toBe(0);
  expect(pace.waitMs(0)).toBe(500);
});

test("nobody does more than the pace allows, and who keeps it never waits", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2_000), fc.integer({ min: 1, max: 300 })), { maxLength: 50 }), (steps) => {
      const pace = new Pace(100, 300);
      let [now, done] = [0, 0];
      for (const [pause, amount] of steps) {
        now += pause;
        if (pace.waitMs(now) > 0) continue;
        pace.take(amount, now);
        done += amount;
        expect(done).toBeLessThanOrEqual(300 + 300 + (now / 1000) * 100);
      }
    }),
  );
  const pace = new Pace(100, 300);
  for (let now = 0; now < 60_000; now += 10) {
    expect(pace.waitMs(now)).toBe(0);
    pace.take(1, now);
  }
});
