import fc from "fast-check";
import { expect, test } from "vitest";
import {
  ATTEMPT_MS,
  type Attempt,
  begin,
  type Delivery,
  failureOf,
  finish,
  newDelivery,
  pauseAfter,
  RETRY_DELAYS_MS,
  redeliver,
} from "#domain/channel/delivery";

const T0 = 1_000_000;
const answer = (status: number, retryAfterMs: number | null = null): Attempt => ({ status, retryAfterMs });
const silence = { status: null, reason: "timeout", retryAfterMs: null } as const;
const after = (failures: number): Delivery => ({ ...newDelivery(T0), attempts: failures + 1, failures, due: T0 });

test.for<[failures: number, attempt: Attempt, random: number, state: Delivery["state"], wait: number | null]>([
  [0, answer(200), 0, "delivered", null],
  [0, answer(204), 0, "delivered", null],
  [0, answer(299), 0, "delivered", null],
  [0, answer(301), 0, "pending", 10_000],
  [0, answer(404), 0, "pending", 10_000],
  [0, answer(500), 0.999, "pending", 10_999],
  [0, silence, 0.5, "pending", 10_500],
  [1, silence, 0, "pending", 30_000],
  [1, answer(500), 0.999, "pending", 32_997],
  [2, answer(500), 0, "failed", null],
  [2, silence, 0, "failed", null],
  [2, answer(200), 0, "delivered", null],
  [0, answer(429), 0, "pending", 10_000],
  [0, answer(429, 5_000), 0, "pending", 10_000],
  [0, answer(429, 90_000), 0, "pending", 90_000],
  [1, answer(503, 3_600_000), 0, "pending", 3_600_000],
  [0, answer(500, 90_000), 0, "pending", 10_000],
  [2, answer(429, 90_000), 0, "failed", null],
])(
  "after %i failures %j makes it (random %f) %s, due in %j ms (R359, W1)",
  ([failures, attempt, random, state, wait]) => {
    const next = finish(after(failures), attempt, T0, random);
    expect(next).toMatchObject({ state, due: wait === null ? null : T0 + wait, status: attempt.status });
    expect(next.failures).toBe(failures + (state === "delivered" ? 0 : 1));
  },
);

test("an attempt is noted before it is made, and is due again should its outcome never be known", () => {
  const begun = begin(newDelivery(T0), T0 + 5);
  expect(begun).toMatchObject({
    state: "pending",
    attempts: 1,
    failures: 0,
    attemptedAt: T0 + 5,
    due: T0 + 5 + ATTEMPT_MS,
  });
});

test("a delivery that ends the process each time is given up (R10)", () => {
  let delivery = newDelivery(T0);
  for (let n = 0; delivery.state === "pending"; n++) {
    expect(n).toBeLessThan(10);
    delivery = begin(delivery, T0 + n * ATTEMPT_MS);
  }
  expect(delivery).toMatchObject({ state: "failed", attempts: 6, failures: 0, reason: "interrupted", due: null });
});

test("what is over can be sent again from the beginning, and what is under way cannot (W1)", () => {
  for (const last of [finish(after(2), silence, T0, 0), finish(after(0), answer(200), T0, 0)]) {
    expect(redeliver(last, T0 + 9)).toMatchObject({
      ok: true,
      value: { state: "pending", attempts: 0, failures: 0, due: T0 + 9, reason: null },
    });
  }
  expect(redeliver(after(1), T0)).toMatchObject({ ok: false, code: "conflict" });
});

test("only a receiver that is asked too often, or is away, gets the pause it asks for", () => {
  expect([429, 503, 500, 200, 404].map((status) => pauseAfter(answer(status, 7_000)))).toEqual([7_000, 7_000, 0, 0, 0]);
});

test("a failure is told in words without what the receiver said", () => {
  expect(failureOf(answer(200))).toBeNull();
  expect(failureOf(answer(302))).toBe("the receiver answered 302");
  for (const reason of ["address_not_allowed", "timeout", "unreachable", "config_unreadable", "interrupted"] as const) {
    expect(failureOf({ status: null, reason, retryAfterMs: null })).toMatch(/^[a-z' ]+$/);
  }
});

test("whatever the answers, a delivery ends after at most three of them and its waits keep to the schedule (R359)", () => {
  const attempts = fc.oneof(
    fc.integer({ min: 100, max: 599 }).map((status) => answer(status)),
    fc.constant(silence),
  );
  fc.assert(
    fc.property(
      fc.array(attempts, { minLength: 3, maxLength: 3 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (all, random) => {
        let [delivery, now] = [newDelivery(T0), T0];
        for (const [n, attempt] of all.entries()) {
          if (delivery.state !== "pending") break;
          delivery = finish(begin(delivery, now), attempt, now, random);
          if (delivery.due === null) continue;
          const least = RETRY_DELAYS_MS[n] ?? 0;
          expect(delivery.due - now).toBeGreaterThanOrEqual(least);
          expect(delivery.due - now).toBeLessThanOrEqual(least * 1.1);
          now = delivery.due;
        }
        expect(delivery.state).not.toBe("pending");
        expect(delivery.due).toBeNull();
      },
    ),
  );
});
