import { HOUR, SECOND } from "#kernel/time";

/** The longest that an answer may make us wait. */
export const MAX_RETRY_AFTER_MS = HOUR;

const SECONDS = /^[0-9]{1,12}$/;
const HTTP_DATE = /^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$/;

/** How long a `Retry-After` header asks to wait, in seconds or until a date; null when it says nothing readable. */
export function retryAfterMs(header: string | null, now: number): number | null {
  const text = header?.trim() ?? "";
  if (SECONDS.test(text)) return Math.min(Number(text) * SECOND, MAX_RETRY_AFTER_MS);
  const until = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(until) ? null : Math.min(Math.max(until - now, 0), MAX_RETRY_AFTER_MS);
}
