export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Milliseconds since the epoch as ISO 8601 UTC, the form every contract shows. */
export const iso = (ms: number): string => new Date(ms).toISOString();
