import { parseDuration } from "#domain/build/duration";
import { takeOptions } from "#domain/build/options";
import { HOUR, SECOND } from "#kernel/time";

/** How a build finds out that what it started is ready. */
export type HealthCheck = {
  command: string;
  intervalMs: number;
  timeoutMs: number;
  /** Failures in this time from the first attempt on do not count. */
  startPeriodMs: number;
  /** Failures that are forgiven after that: with 0 the first one fails the build (platform R420). */
  retries: number;
};

const MOST_RETRIES = 1000;

/**
 * Reads `[--interval=3s] [--timeout=10s] [--start-period=0] [--retries=0] <command>`; a string says what is wrong
 * with it. Pure.
 */
export function parseHealthCheck(line: string): HealthCheck | string {
  const options = takeOptions(line.trim(), ["interval", "timeout", "start-period", "retries"]);
  if (typeof options === "string") return options;
  const { given, rest: command } = options;
  const time = (text: string | undefined, usual: number) => (text === undefined ? usual : parseDuration(text));
  const intervalMs = time(given.interval, 3 * SECOND);
  const timeoutMs = time(given.timeout, 10 * SECOND);
  const startPeriodMs = time(given["start-period"], 0);
  const retries = /^\d+$/.test(given.retries ?? "0") ? Number(given.retries ?? 0) : MOST_RETRIES + 1;
  if (command === "") return "it has no command";
  if (!intervalMs || !timeoutMs || startPeriodMs === undefined) return "times are written like 3s, 1m30s or 500ms";
  if (Math.max(intervalMs, timeoutMs, startPeriodMs) > HOUR) return "times are an hour at most";
  if (retries > MOST_RETRIES) return `--retries must be a number up to ${MOST_RETRIES}`;
  return { command, intervalMs, timeoutMs, startPeriodMs, retries };
}

/** Whether a failed attempt is forgiven. `failures` counts those that count, with this one if it does. Pure. */
export function isForgiven(check: HealthCheck, sinceFirstMs: number, failures: number): boolean {
  return sinceFirstMs < check.startPeriodMs || failures <= check.retries;
}
