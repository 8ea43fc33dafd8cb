import { type Change, floorTo, type Line, type Period, periodsOf } from "#domain/usage/line";
import { isSameLoad, type Load, minus, NO_LOAD, plus } from "#domain/usage/load";
import type { LoadReport } from "#domain/usage/ports";
import { KEEP_CHANGES_MS, SPAN_MS } from "#domain/usage/values";

type LoadRow = { running: number; vcpus: number; memory_mb: number };
type Head = { until: number; load: Load };

const LOAD = "running INTEGER NOT NULL, vcpus INTEGER NOT NULL, memory_mb INTEGER NOT NULL";
const SUM =
  "COALESCE(SUM(running), 0) AS running, COALESCE(SUM(vcpus), 0) AS vcpus, COALESCE(SUM(memory_mb), 0) AS memory_mb";

/**
 * A team's load in the storage of its object: every change, and one row for each span of the clock that is over, unless
 * nothing was reserved in it. `usage_head` tells up to when spans are made, and the load before then. A change that comes
 * late takes back the spans from it on, and they are made anew.
 */
export class UsageTable {
  static readonly MIGRATION = `
    CREATE TABLE usage_sandboxes (id TEXT PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL, ${LOAD});
    CREATE TABLE usage_changes (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, ${LOAD});
    CREATE INDEX usage_changes_at ON usage_changes (at);
    CREATE TABLE usage_spans (begin INTEGER PRIMARY KEY, ${LOAD}, vcpu_ms INTEGER NOT NULL, mb_ms INTEGER NOT NULL);
    CREATE TABLE usage_head (one INTEGER PRIMARY KEY CHECK (one = 1), until INTEGER NOT NULL, ${LOAD})`;
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Takes a report up, once; part of a transaction. Times never go back within a sandbox, nor to what is dropped. */
  add({ sandboxId, seq, at, load }: LoadReport, now: number): void {
    const [row] = this.#sql
      .exec<LoadRow & { seq: number; at: number }>("SELECT * FROM usage_sandboxes WHERE id = ?", sandboxId)
      .toArray();
    if (row && row.seq >= seq) return;
    const time = Math.max(Math.min(at, now), row?.at ?? 0, droppedBefore(now));
    this.#sql.exec(
      "INSERT OR REPLACE INTO usage_sandboxes VALUES (?, ?, ?, ?, ?, ?)",
      ...[sandboxId, seq, time, ...columns(load)],
    );
    const before = row ? toLoad(row) : NO_LOAD;
    if (!isSameLoad(before, load)) this.#change({ at: time, ...minus(load, before) });
    this.tidy(now);
  }

  /** Makes the spans that are over, and forgets changes that are too old; part of a transaction. */
  tidy(now: number): void {
    const head = this.#head();
    if (!head) return;
    const end = floorTo(now, SPAN_MS);
    if (end > head.until) {
      const line = this.line(head.until, end);
      for (const period of periodsOf(line, head.until, end, SPAN_MS)) this.#store(period);
      this.#setHead({ until: end, load: line.changes.reduce<Load>(plus, line.before) });
    }
    const dropped = droppedBefore(now);
    this.#sql.exec("DELETE FROM usage_changes WHERE at < ?", dropped);
    this.#sql.exec("DELETE FROM usage_sandboxes WHERE at < ? AND running = 0 AND memory_mb = 0", dropped);
  }

  /** Until when there are spans; before the first report that is always. */
  get until(): number {
    return this.#head()?.until ?? Number.POSITIVE_INFINITY;
  }

  /** Spans that begin from `from` on and before `to`, by their begin. */
  spans(from: number, to: number): Map<number, Omit<Period, "sampled">> {
    type Row = LoadRow & { begin: number; vcpu_ms: number; mb_ms: number };
    const rows = this.#sql.exec<Row>(
      "SELECT * FROM usage_spans WHERE begin >= ? AND begin < ? ORDER BY begin",
      from,
      to,
    );
    return new Map(
      [...rows].map((row) => [row.begin, { begin: row.begin, max: toLoad(row), vcpuMs: row.vcpu_ms, mbMs: row.mb_ms }]),
    );
  }

  /** The line from `from` until before `to`, both within the time of which changes are kept. */
  line(from: number, to: number): Line {
    const head = this.#head();
    if (!head) return { before: NO_LOAD, changes: [] };
    const before =
      from < head.until ? minus(head.load, this.#sum(from, head.until)) : plus(head.load, this.#sum(head.until, from));
    const query = "SELECT at, running, vcpus, memory_mb FROM usage_changes WHERE at >= ? AND at < ? ORDER BY at";
    const rows = this.#sql.exec<LoadRow & { at: number }>(query, from, to);
    return { before, changes: [...rows].map((row) => ({ at: row.at, ...toLoad(row) })) };
  }

  #change({ at, ...load }: Change): void {
    const head = this.#head();
    const begin = floorTo(at, SPAN_MS);
    if (!head) this.#setHead({ until: begin, load: NO_LOAD });
    else if (begin < head.until) {
      this.#setHead({ until: begin, load: minus(head.load, this.#sum(begin, head.until)) });
      this.#sql.exec("DELETE FROM usage_spans WHERE begin >= ?", begin);
    }
    this.#sql.exec(
      "INSERT INTO usage_changes (at, running, vcpus, memory_mb) VALUES (?, ?, ?, ?)",
      ...[at, ...columns(load)],
    );
  }

  #store({ begin, max, vcpuMs, mbMs }: Period): void {
    if (vcpuMs === 0 && mbMs === 0) return;
    this.#sql.exec("INSERT INTO usage_spans VALUES (?, ?, ?, ?, ?, ?)", begin, ...columns(max), vcpuMs, mbMs);
  }

  #sum(from: number, to: number): Load {
    const query = `SELECT ${SUM} FROM usage_changes WHERE at >= ? AND at < ?`;
    return toLoad(this.#sql.exec<LoadRow>(query, from, to).one());
  }

  #head(): Head | undefined {
    const [row] = this.#sql.exec<LoadRow & { until: number }>("SELECT * FROM usage_head").toArray();
    return row && { until: row.until, load: toLoad(row) };
  }

  #setHead({ until, load }: Head): void {
    this.#sql.exec("INSERT OR REPLACE INTO usage_head VALUES (1, ?, ?, ?, ?)", until, ...columns(load));
  }
}

/** Changes before that time are dropped; the border of a span, so that spans which are left can be made anew. */
const droppedBefore = (now: number) => floorTo(now - KEEP_CHANGES_MS, SPAN_MS);

const columns = ({ running, vcpus, memoryMb }: Load) => [running, vcpus, memoryMb];
const toLoad = ({ running, vcpus, memory_mb: memoryMb }: LoadRow): Load => ({ running, vcpus, memoryMb });
