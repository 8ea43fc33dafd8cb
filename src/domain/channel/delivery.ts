import type { NoAnswer, OutboundAnswer } from "#domain/outbound/ports";
import { ok, type Result, refuse } from "#kernel/fault";
import { SECOND } from "#kernel/time";

/** Why an attempt came to nothing, where no answer's status says it. */
export type Reason = NoAnswer | "config_unreadable" | "interrupted";

/** How far the sending of one event to one channel is. `failed` is given up until somebody redelivers it. */
export type Delivery = {
  state: "pending" | "delivered" | "failed";
  /** Attempts begun; more than `failures` when some were cut off by the end of the process. */
  attempts: number;
  failures: number;
  /** When the next attempt is due, in milliseconds; null unless pending. */
  due: number | null;
  /** Status of the last answer, or why there was none. */
  status: number | null;
  reason: Reason | null;
  attemptedAt: number | null;
};

/** What came of an attempt. */
export type Attempt = OutboundAnswer | { status: null; reason: Reason; retryAfterMs: null };

/** How long to wait after the first and the second failure; the third is the last (platform R359). */
export const RETRY_DELAYS_MS: readonly number[] = [10 * SECOND, 30 * SECOND];
const MAX_FAILURES = RETRY_DELAYS_MS.length + 1;
/** Attempts that ended the process count too, so that no delivery can do so for ever. */
const MAX_ATTEMPTS = 2 * MAX_FAILURES;
/** By when the outcome of an attempt is known, unless the process ended in the middle of it. */
export const ATTEMPT_MS = 20 * SECOND;
const JITTER = 0.1;

export const newDelivery = (now: number): Delivery => ({
  ...{ state: "pending", attempts: 0, failures: 0, due: now },
  ...{ status: null, reason: null, attemptedAt: null },
});

/** Begins an attempt. Until its outcome is noted it counts as cut off, and is due again when it should be over. */
export function begin(delivery: Delivery, now: number): Delivery {
  if (delivery.attempts >= MAX_ATTEMPTS) {
    return { ...delivery, state: "failed", due: null, status: null, reason: "interrupted" };
  }
  return { ...delivery, attempts: delivery.attempts + 1, attemptedAt: now, due: now + ATTEMPT_MS };
}

/** Notes the outcome of an attempt. `random` is from 0 up to 1 and stretches the wait by at most a tenth. */
export function finish(delivery: Delivery, attempt: Attempt, now: number, random: number): Delivery {
  const { status } = attempt;
  const seen = { ...delivery, status, reason: "reason" in attempt ? attempt.reason : null };
  if (failureOf(attempt) === null) return { ...seen, state: "delivered", due: null };
  const failures = delivery.failures + 1;
  if (failures >= MAX_FAILURES) return { ...seen, failures, state: "failed", due: null };
  const delay = (RETRY_DELAYS_MS[failures - 1] ?? 0) * (1 + JITTER * random);
  return { ...seen, failures, due: now + Math.round(Math.max(delay, pauseAfter(attempt))) };
}

/** How long a receiver that is asked too often wants to be left alone, or 0. */
export const pauseAfter = ({ status, retryAfterMs }: Attempt): number =>
  status === 429 || status === 503 ? (retryAfterMs ?? 0) : 0;

/** Sends a delivery that is over once more, under its old id. */
export function redeliver(delivery: Delivery, now: number): Result<Delivery> {
  if (delivery.state === "pending") return refuse("conflict", "the notification is still being delivered");
  return ok({ ...newDelivery(now), attemptedAt: delivery.attemptedAt });
}

const REASONS: Record<Reason, string> = {
  address_not_allowed: "its address is not allowed",
  timeout: "the receiver did not answer in time",
  unreachable: "the receiver could not be reached",
  config_unreadable: "the channel's config cannot be read",
  interrupted: "the attempts were interrupted",
};

/** Why an attempt failed, in words that name no address and no secret; null for success, which is a 2xx status. */
export function failureOf(attempt: Attempt): string | null {
  if (attempt.status === null) return REASONS[attempt.reason];
  return attempt.status >= 200 && attempt.status < 300 ? null : `the receiver answered ${attempt.status}`;
}
