import { KEEP_EVENTS, KEEP_EVENTS_MS } from "#domain/event/retention";
import type { FeedLog } from "#objects/kit/feed";
import type { FeedEvent } from "#protocol/feed";

type Head = { team: string; name: string; next: number; taken: number };
type Row = { seq: number; type: string; created_at: number; data: string };

/** Bytes of payload after which a page is cut short, so that a frame stays well below a socket's limit. */
const PAGE_BYTES = 1_000_000;
const NAME_CHARS = "0123456789abcdefghjkmnpqrstvwxyz";

/**
 * A team's numbered log, in its object's storage. Numbers start at 1 and have no gaps; the oldest events are dropped
 * once there are too many or they are too old. Its name makes its numbers those of this log and of no other.
 */
export class TeamEventLog implements FeedLog<FeedEvent> {
  static readonly MIGRATION = `
    CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), team TEXT NOT NULL, name TEXT NOT NULL,
      next INTEGER NOT NULL, taken INTEGER NOT NULL);
    CREATE TABLE events (seq INTEGER PRIMARY KEY, type TEXT NOT NULL, created_at INTEGER NOT NULL, data TEXT NOT NULL)`;
  readonly #sql: SqlStorage;
  #head: Head;

  /** `team` is whose log it is; one that exists knows it already. */
  constructor(sql: SqlStorage, team: string) {
    this.#sql = sql;
    sql.exec("INSERT OR IGNORE INTO head VALUES (1, ?, ?, 1, 0)", team, newName());
    this.#head = this.#read();
  }

  get team(): string {
    return this.#head.team;
  }

  get name(): string {
    return this.#head.name;
  }

  /** Number of the next event. */
  get next(): number {
    return this.#head.next;
  }

  /** The last row of the directory that was taken up. */
  get taken(): number {
    return this.#head.taken;
  }

  /** Stores events behind the others and notes the row they came up to; part of a transaction. */
  append(events: readonly Omit<FeedEvent, "seq">[], taken: number, now: number): FeedEvent[] {
    let { next } = this.#head;
    const stored = events.map((event) => ({ ...event, seq: next++ }));
    for (const { seq, type, createdAt, data } of stored) {
      this.#sql.exec("INSERT INTO events VALUES (?, ?, ?, ?)", seq, type, createdAt, data);
    }
    this.#sql.exec("UPDATE head SET next = ?, taken = ?", next, taken);
    this.#sql.exec("DELETE FROM events WHERE seq < ?", next - KEEP_EVENTS);
    this.drop(now);
    return stored;
  }

  /** Forgets what is too old. Times of events do not order them, so only the oldest numbers go. */
  drop(now: number): void {
    const fresh = "SELECT COALESCE(MIN(seq), ?) FROM events WHERE created_at >= ?";
    this.#sql.exec(`DELETE FROM events WHERE seq < (${fresh})`, this.next, now - KEEP_EVENTS_MS);
  }

  /** Takes over what a transaction stored; before it, this object shows the log as it was. */
  committed(): void {
    this.#head = this.#read();
  }

  bounds(): { oldest: number; newest: number } | null {
    const [row] = this.#sql.exec<{ oldest: number | null }>("SELECT MIN(seq) AS oldest FROM events").toArray();
    return row?.oldest ? { oldest: row.oldest, newest: this.next - 1 } : null;
  }

  /** When the oldest event will be too old, or null while there is none. */
  dropAt(): number | null {
    const [row] = this.#sql.exec<{ at: number }>("SELECT created_at AS at FROM events ORDER BY seq LIMIT 1").toArray();
    return row ? row.at + KEEP_EVENTS_MS : null;
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

  #read(): Head {
    return this.#sql.exec<Head>("SELECT team, name, next, taken FROM head").one();
  }
}

function newName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return Array.from(bytes, (byte) => NAME_CHARS[byte % 32]).join("");
}
