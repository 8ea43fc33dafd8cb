import type { FeedLog } from "#objects/kit/feed";
import type { FeedEvent } from "#protocol/feed";

type Row = { seq: number; type: string; created_at: number; data: string };

/** Bytes of payload after which a page is cut short, so that a frame stays well below a socket's limit. */
const PAGE_BYTES = 500_000;

/** What happened in a build, numbered from 1 without gaps. */
export class BuildEvents implements FeedLog<FeedEvent> {
  static readonly MIGRATION =
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, type TEXT NOT NULL, created_at INTEGER NOT NULL, data TEXT NOT NULL)";
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get newest(): number {
    return this.#sql.exec<{ n: number }>("SELECT COALESCE(MAX(seq), 0) AS n FROM events").one().n;
  }

  /** Stores an event behind the others; part of a transaction. */
  append(type: string, data: object, createdAt: number): FeedEvent {
    const event = { seq: this.newest + 1, type, createdAt, data: JSON.stringify(data) };
    this.#sql.exec("INSERT INTO events VALUES (?, ?, ?, ?)", event.seq, type, createdAt, event.data);
    return event;
  }

  bounds(): { oldest: number; newest: number } | null {
    const { newest } = this;
    return newest === 0 ? null : { oldest: 1, newest };
  }

  page(from: number, _filter: null | string, limit: number): { events: FeedEvent[]; more: boolean } {
    const rows = this.#sql.exec<Row>("SELECT * FROM events WHERE seq >= ? ORDER BY seq LIMIT ?", from, limit + 1);
    const events: FeedEvent[] = [];
    let bytes = 0;
    for (const { seq, type, created_at: createdAt, data } of rows) {
      if (events.length === limit || (events.length > 0 && bytes + data.length > PAGE_BYTES))
        return { events, more: true };
      bytes += data.length;
      events.push({ seq, type, createdAt, data });
    }
    return { events, more: false };
  }

  /** Every reader wants everything. */
  matches(): boolean {
    return true;
  }
}
