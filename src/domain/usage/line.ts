import { type Load, maximum, NO_LOAD, plus } from "#domain/usage/load";
import { SECOND } from "#kernel/time";

/** Time between two samples (platform R279). */
export const SAMPLE_MS = 10 * SECOND;

/** A team's load changed by this much, at that time and from then on. */
export type Change = Load & { at: number };

/** A team's load over time: constant between changes, which come in the order of their times. */
export type Line = { before: Load; changes: readonly Change[] };

type Piece = { begin: number; end: number; load: Load };

/**
 * What samples of a period reached at most, whether there were any, and what was reserved in it, exactly: processors and
 * megabytes times milliseconds.
 */
export type Period = { begin: number; sampled: boolean; max: Load; vcpuMs: number; mbMs: number };

export const floorTo = (at: number, stepMs: number): number => Math.floor(at / stepMs) * stepMs;
export const ceilTo = (at: number, stepMs: number): number => Math.ceil(at / stepMs) * stepMs;

/** The line from `from` until before `to`, cut where it changes and at the borders of periods. */
function* piecesOf({ before, changes }: Line, from: number, to: number, periodMs: number): Generator<Piece> {
  let [load, begin, next] = [before, from, 0];
  while (begin < to) {
    for (let change = changes[next]; change && change.at <= begin; change = changes[++next]) load = plus(load, change);
    const border = floorTo(begin, periodMs) + periodMs;
    const end = Math.min(border, to, changes[next]?.at ?? to);
    yield { begin, end, load };
    begin = end;
  }
}

/** The line from `from` until before `to` by periods of the clock, oldest first. Samples are at multiples of `SAMPLE_MS`. */
export function periodsOf(line: Line, from: number, to: number, periodMs: number): Period[] {
  const periods: Period[] = [];
  for (const { begin, end, load } of piecesOf(line, from, to, periodMs)) {
    let period = periods.at(-1);
    if (period?.begin !== floorTo(begin, periodMs)) {
      period = { begin: floorTo(begin, periodMs), sampled: false, max: NO_LOAD, vcpuMs: 0, mbMs: 0 };
      periods.push(period);
    }
    period.vcpuMs += load.vcpus * (end - begin);
    period.mbMs += load.memoryMb * (end - begin);
    if (ceilTo(begin, SAMPLE_MS) >= end) continue;
    period.sampled = true;
    period.max = maximum(period.max, load);
  }
  return periods;
}
