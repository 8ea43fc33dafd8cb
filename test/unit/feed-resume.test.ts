import fc from "fast-check";
import { expect, test } from "vitest";
import { resume } from "#domain/feed/resume";

test.for([
  { why: "an empty log", after: -1, log: null, next: { type: "live" } },
  { why: "nothing seen yet", after: -1, log: { oldest: 0, newest: 9 }, next: { type: "replay", from: 0 } },
  { why: "the middle", after: 4, log: { oldest: 0, newest: 9 }, next: { type: "replay", from: 5 } },
  { why: "everything seen", after: 9, log: { oldest: 0, newest: 9 }, next: { type: "live" } },
  { why: "a number from the future", after: 99, log: { oldest: 0, newest: 9 }, next: { type: "live" } },
  { why: "events that are gone", after: 2, log: { oldest: 5, newest: 9 }, next: { type: "reset", from: 5 } },
  { why: "the last event that is gone", after: 4, log: { oldest: 5, newest: 9 }, next: { type: "replay", from: 5 } },
])("S2 resuming after $why", ({ after, log, next }) => {
  expect(resume(after, log)).toEqual(next);
});

test("S1 events stored between reading the log and going live are neither lost nor doubled", () => {
  const splits = fc.record({
    before: fc.nat(20),
    between: fc.nat(20),
    live: fc.nat(20),
    after: fc.integer({ min: -1, max: 40 }),
  });
  fc.assert(
    fc.property(splits, ({ before, between, live, after }) => {
      const total = before + between + live;
      const numbers = Array.from({ length: total }, (_, i) => i);
      let seen = after;
      const got: number[] = [];
      const take = (events: number[]) => {
        got.push(...events);
        seen = events.at(-1) ?? seen;
      };
      const page = (end: number) => {
        const next = resume(seen, end === 0 ? null : { oldest: 0, newest: end - 1 });
        take(next.type === "live" ? [] : numbers.slice(next.from, end));
      };
      page(before);
      page(before + between);
      // Live events arrive with some that a page already held.
      take(numbers.slice(before).filter((n) => n > seen));
      expect(got).toEqual(numbers.filter((n) => n > after));
    }),
  );
});
