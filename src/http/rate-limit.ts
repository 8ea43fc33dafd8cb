import type { Limit, LimitState } from "#domain/principal/ports";
import { addressPrincipal } from "#domain/principal/values";
import type { BaseCtx } from "#http/surface";
import { sha256 } from "#kernel/digest";
import { Fault } from "#kernel/fault";
import { SECOND } from "#kernel/time";

type Quota = { quota: number; windowMs: number };

/** How often an operation may be asked for, by address and by what the request is about, such as an e-mail. */
export type RateLimit = {
  /** Operations that share a name share their counts. */
  name: string;
  perAddress: Quota;
  perSubject?: Quota;
};

/**
 * Counts a request against its limits and tells what is left in the `RateLimit` headers; throws `rate_limited`, with
 * `Retry-After`, when one of them is used up (I4).
 */
export async function enforceLimit(
  { principals }: BaseCtx,
  { name, perAddress, perSubject }: RateLimit,
  { address, subject, answer }: { address: string; subject: string | undefined; answer: Headers },
): Promise<void> {
  const limitOf = (quota: Quota): Limit => ({ bucket: name, ...quota });
  const asked = [principals.principal(addressPrincipal(address)).take([limitOf(perAddress)])];
  if (perSubject && subject !== undefined) {
    asked.push(principals.principal(`subject:${await sha256(subject)}`).take([limitOf(perSubject)]));
  }
  const states = (await Promise.all(asked)).flat();
  const tightest = states.reduce((a, b) => (b.retryAfterMs > a.retryAfterMs || b.remaining < a.remaining ? b : a));
  tell(answer, tightest);
  if (tightest.retryAfterMs === 0) return;
  answer.set("retry-after", String(Math.ceil(tightest.retryAfterMs / SECOND)));
  throw new Fault("rate_limited", "too many requests; try again later");
}

/** The fields of the IETF's draft on rate limit headers: the policy, and what is left of it. */
function tell(answer: Headers, { bucket, quota, windowMs, remaining, resetMs }: LimitState): void {
  answer.set("ratelimit-policy", `"${bucket}";q=${quota};w=${Math.ceil(windowMs / SECOND)}`);
  answer.set("ratelimit", `"${bucket}";r=${remaining};t=${Math.ceil(resetMs / SECOND)}`);
}
