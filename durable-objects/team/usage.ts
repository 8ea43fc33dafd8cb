import { ceilTo, floorTo, periodsOf, SAMPLE_MS } from "#domain/usage/line";
import { maximum, NO_LOAD, plus } from "#domain/usage/load";
import type { DayUsage, LoadReport, TeamStats } from "#domain/usage/ports";
import { PEAKS_MS, SPAN_MS, STATS, type StatsRange } from "#domain/usage/values";
import { DAY } from "#kernel/time";
import { UsageTable } from "#objects/team/usage-table";

/**
 * What a team's sandboxes take up. Nothing runs for it between reports: samples, maxima and sums follow from the changes
 * of the load when somebody asks.
 */
export class TeamUsage {
  readonly #storage: DurableObjectStorage;
  readonly #table: UsageTable;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#table = new UsageTable(storage.sql);
  }

  report(report: LoadReport, now: number): void {
    this.#storage.transactionSync(() => this.#table.add(report, now));
  }

  stats(range: StatsRange, since: number, now: number): TeamStats {
    const last = floorTo(now, SAMPLE_MS);
    const first = ceilTo(since, SAMPLE_MS);
    if (last < first) return { current: { ...NO_LOAD, sampledAt: null }, peaks: NO_LOAD, series: [] };
    this.#tidy(now);
    const { before, changes } = this.#table.line(last, last + 1);
    return {
      current: { ...changes.reduce(plus, before), sampledAt: last },
      peaks: this.#peaks(last),
      series: range === "30d" ? this.#spans(first, last) : this.#series(range, first, last),
    };
  }

  days(from: number, to: number, now: number): DayUsage[] {
    this.#tidy(now);
    const days = Array.from({ length: to - from + 1 }, (_, n) => ({ day: from + n, vcpuMs: 0, mbMs: 0 }));
    const periods = [...this.#table.spans(from * DAY, (to + 1) * DAY).values(), ...this.#unfinished(now)];
    for (const { begin, vcpuMs, mbMs } of periods) {
      const day = days[Math.floor(begin / DAY) - from];
      if (!day) continue;
      day.vcpuMs += vcpuMs;
      day.mbMs += mbMs;
    }
    return days;
  }

  #series(range: StatsRange, first: number, last: number): TeamStats["series"] {
    const { windowMs, periodMs } = STATS[range];
    const from = Math.max(ceilTo(last - windowMs, periodMs), first);
    const periods = periodsOf(this.#table.line(from, last + 1), from, last + 1, periodMs);
    return periods.flatMap(({ begin, sampled, max }) => (sampled ? [{ at: begin, ...max }] : []));
  }

  /** The longest series is of whole spans, those that are over as they were stored. */
  #spans(first: number, last: number): TeamStats["series"] {
    const from = Math.max(ceilTo(last - STATS["30d"].windowMs, SPAN_MS), floorTo(first, SPAN_MS));
    const stored = this.#table.spans(from, last);
    const series: TeamStats["series"] = [];
    for (let at = from; at < Math.min(this.#table.until, last + 1); at += SPAN_MS) {
      series.push({ at, ...(stored.get(at)?.max ?? NO_LOAD) });
    }
    return [...series, ...this.#unfinished(last + 1).map(({ begin, max }) => ({ at: begin, ...max }))];
  }

  #peaks(last: number) {
    const stored = this.#table.spans(ceilTo(last - PEAKS_MS, SPAN_MS), last);
    return [...stored.values(), ...this.#unfinished(last + 1)].reduce((peak, { max }) => maximum(peak, max), NO_LOAD);
  }

  /** The span that goes on; none before the first report. */
  #unfinished(to: number) {
    const { until } = this.#table;
    return until < to ? periodsOf(this.#table.line(until, to), until, to, SPAN_MS) : [];
  }

  #tidy(now: number): void {
    this.#storage.transactionSync(() => this.#table.tidy(now));
  }
}
