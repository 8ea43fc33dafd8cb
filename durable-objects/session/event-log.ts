import type { NewEvent } from "#domain/session/events";
import type { FeedLog } from "#objects/kit/feed";
import type { Cache, SessionStore } from "#objects/session/store";
import type { SessionEvent } from "#protocol/session-feed";

type Row = { seq: number; run_id: string | null; type: string; created_at: number; data: string };

/** Bytes of payload after which a page is cut short, so that a frame stays well below a socket's limit. */
const PAGE_BYTES = 1_000_000;

/** The append-only, numbered log of a session's events. Numbers start at 0 and have no gaps. */
export class EventLog implements Cache, FeedLog<SessionEvent> {
  readonly #store: SessionStore;
  readonly #publish: (events: SessionEvent[]) => void;
  #next = 0;
  #fresh: SessionEvent[] = [];

  /** `publish` gets the events of each transaction once they are stored. */
  constructor(store: SessionStore, publish: (events: SessionEvent[]) => void) {
    this.#store = store;
    this.#publish = publish;
    store.attach(this);
  }

  append(event: NewEvent, now: number): void {
    const row = { ...event, seq: this.#next++, createdAt: now, data: JSON.stringify(event.data) };
    this.#store.sql.exec(
      "INSERT INTO event_log (seq, run_id, type, created_at, data) VALUES (?, ?, ?, ?, ?)",
      row.seq,
      row.runId,
      row.type,
      row.createdAt,
      row.data,
    );
    this.#fresh.push(row);
  }

  /** First and last number stored, or null while the log is empty. */
  bounds(): { oldest: number; newest: number } | null {
    return this.#next === 0 ? null : { oldest: 0, newest: this.#next - 1 };
  }

  /** Events from number `from` on, of one run or of all. */
  page(from: number, runId: string | null, limit: number): { events: SessionEvent[]; more: boolean } {
    const filter = runId === null ? "" : "AND run_id = ?";
    const rows = this.#store.sql.exec<Row>(
      `SELECT seq, run_id, type, created_at, data FROM event_log WHERE seq >= ? ${filter} ORDER BY seq LIMIT ?`,
      ...(runId === null ? [from, limit + 1] : [from, runId, limit + 1]),
    );
    const events: SessionEvent[] = [];
    let bytes = 0;
    for (const row of rows) {
      if (events.length === limit || (events.length > 0 && bytes + row.data.length > PAGE_BYTES)) {
        return { events, more: true };
      }
      bytes += row.data.length;
      events.push(toEvent(row));
    }
    return { events, more: false };
  }

  matches(event: SessionEvent, runId: string): boolean {
    return event.runId === runId;
  }

  /** Text of a message as its deltas tell it, for a message whose streaming was cut by a restart. */
  streamedText(runId: string, messageId: string): string {
    const rows = this.#store.sql.exec<{ data: string }>(
      "SELECT data FROM event_log WHERE run_id = ? AND type = 'message.delta' ORDER BY seq",
      runId,
    );
    let text = "";
    for (const row of rows) {
      const data = JSON.parse(row.data) as { messageId: string; delta?: string; content?: string };
      if (data.messageId === messageId) text = data.content ?? text + (data.delta ?? "");
    }
    return text;
  }

  committed(): void {
    if (this.#fresh.length === 0) return;
    const events = this.#fresh;
    this.#fresh = [];
    this.#publish(events);
  }

  reload(): void {
    this.#fresh = [];
    const row = this.#store.sql.exec<{ last: number | null }>("SELECT MAX(seq) AS last FROM event_log").one();
    this.#next = (row.last ?? -1) + 1;
  }
}

const toEvent = (row: Row): SessionEvent => ({
  seq: row.seq,
  type: row.type as SessionEvent["type"],
  runId: row.run_id,
  createdAt: row.created_at,
  data: row.data,
});
