import { type Delivery, newDelivery, redeliver } from "#domain/channel/delivery";
import type { ChannelEvent } from "#domain/channel/notification";
import type { LoggedDelivery } from "#domain/channel/ports";
import type { TeamEventRow } from "#domain/event/repo";
import { ok, type Result, refuse } from "#kernel/fault";
import { DAY } from "#kernel/time";

export type PlannedDelivery = { channelId: string; eventId: string; type: string; payload: TeamEventRow["payload"] };
export type StoredDelivery = LoggedDelivery & Delivery & { payload: ChannelEvent };

type Row = {
  seq: number;
  id: string;
  channel: string;
  event: string;
  type: string;
  payload: string;
  created_at: number;
  state: Delivery["state"];
  attempts: number;
  failures: number;
  due: number | null;
  status: number | null;
  reason: Delivery["reason"];
  attempted_at: number | null;
};

/** How long the log of a delivery is kept, and how many of a channel's. */
const KEEP_MS = 7 * DAY;
const KEEP = 1_000;

/** Deliveries in the storage of a team's object: the outbox of those that are pending, and the log of the others. */
export class DeliveryTable {
  static readonly MIGRATION = `
    CREATE TABLE deliveries (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, channel TEXT NOT NULL,
      event TEXT NOT NULL, type TEXT NOT NULL, payload TEXT NOT NULL, created_at INTEGER NOT NULL, state TEXT NOT NULL,
      attempts INTEGER NOT NULL, failures INTEGER NOT NULL, due INTEGER, status INTEGER, reason TEXT,
      attempted_at INTEGER, UNIQUE (channel, event));
    CREATE INDEX deliveries_lane ON deliveries (channel, due) WHERE state = 'pending';
    CREATE INDEX deliveries_time ON deliveries (created_at) WHERE state <> 'pending';
    CREATE INDEX deliveries_log ON deliveries (channel, seq);
    CREATE TABLE pauses (channel TEXT PRIMARY KEY, until INTEGER NOT NULL)`;
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Adds deliveries, of each event and channel one; the oldest of a channel that has too many are dropped. */
  add(planned: readonly PlannedDelivery[], now: number): void {
    for (const { channelId, eventId, type, payload } of planned) {
      const { state, attempts, failures, due } = newDelivery(now);
      this.#sql.exec(
        `INSERT OR IGNORE INTO deliveries (id, channel, event, type, payload, created_at, state, attempts, failures, due)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        ...[crypto.randomUUID(), channelId, eventId, type, JSON.stringify(payload)],
        ...[now, state, attempts, failures, due],
      );
    }
    for (const channelId of new Set(planned.map((one) => one.channelId))) {
      const excess = "SELECT seq FROM deliveries WHERE channel = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2";
      this.#sql.exec(`DELETE FROM deliveries WHERE channel = ?1 AND seq <= (${excess})`, channelId, KEEP);
    }
  }

  /** Channels with something to send, and when the first of it is due. */
  lanes(): { channelId: string; at: number }[] {
    return this.#sql
      .exec<{ channelId: string; at: number }>(
        `SELECT d.channel AS channelId, MAX(MIN(d.due), COALESCE(p.until, 0)) AS at FROM deliveries d
          LEFT JOIN pauses p ON p.channel = d.channel WHERE d.state = 'pending' GROUP BY d.channel`,
      )
      .toArray();
  }

  /** The delivery of a channel that has waited longest, if it is due and the channel is not paused. */
  next(channelId: string, now: number): StoredDelivery | undefined {
    const [row] = this.#sql
      .exec<Row>(
        `SELECT * FROM deliveries WHERE channel = ?1 AND state = 'pending' AND due <= ?2
          AND NOT EXISTS (SELECT 1 FROM pauses WHERE channel = ?1 AND until > ?2) ORDER BY due, seq LIMIT 1`,
        ...[channelId, now],
      )
      .toArray();
    return row && stored(row);
  }

  /** Stores what became of a delivery, unless something else became of it since it was read. */
  write(read: StoredDelivery, next: Delivery): boolean {
    const { rowsWritten } = this.#sql.exec(
      `UPDATE deliveries SET state = ?, attempts = ?, failures = ?, due = ?, status = ?, reason = ?, attempted_at = ?
        WHERE id = ? AND state = 'pending' AND attempts = ?`,
      ...[next.state, next.attempts, next.failures, next.due, next.status, next.reason, next.attemptedAt],
      ...[read.id, read.attempts],
    );
    return rowsWritten > 0;
  }

  pause(channelId: string, until: number): void {
    this.#sql.exec("INSERT OR REPLACE INTO pauses (channel, until) VALUES (?, ?)", channelId, until);
  }

  list(channelId: string, { limit, before }: { limit: number; before: number | null }): LoggedDelivery[] {
    const rows = this.#sql.exec<Row>(
      "SELECT * FROM deliveries WHERE channel = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
      ...[channelId, before ?? Number.MAX_SAFE_INTEGER, limit],
    );
    return [...rows].map(logged);
  }

  redeliver(channelId: string, id: string, now: number): Result<LoggedDelivery> {
    const [row] = this.#sql.exec<Row>("SELECT * FROM deliveries WHERE channel = ? AND id = ?", channelId, id).toArray();
    if (!row) return refuse("delivery_not_found", "delivery not found");
    const again = redeliver(stored(row), now);
    if (!again.ok) return again;
    const { state, attempts, failures, due, status, reason } = again.value;
    this.#sql.exec(
      "UPDATE deliveries SET state = ?, attempts = ?, failures = ?, due = ?, status = ?, reason = ? WHERE id = ?",
      ...[state, attempts, failures, due, status, reason, id],
    );
    return ok({ ...logged(row), ...again.value });
  }

  forget(channelId: string): void {
    this.#sql.exec("DELETE FROM deliveries WHERE channel = ?", channelId);
    this.#sql.exec("DELETE FROM pauses WHERE channel = ?", channelId);
  }

  /** Forgets what is over and too old. */
  drop(now: number): void {
    this.#sql.exec("DELETE FROM deliveries WHERE state <> 'pending' AND created_at <= ?", now - KEEP_MS);
    this.#sql.exec("DELETE FROM pauses WHERE until <= ?", now);
  }

  /** When the oldest delivery that is over will be too old, or null. */
  dropAt(): number | null {
    const [row] = this.#sql
      .exec<{ at: number | null }>("SELECT MIN(created_at) AS at FROM deliveries WHERE state <> 'pending'")
      .toArray();
    return row?.at == null ? null : row.at + KEEP_MS;
  }
}

const logged = (row: Row): LoggedDelivery => ({
  seq: row.seq,
  id: row.id,
  channelId: row.channel,
  eventId: row.event,
  event: row.type,
  createdAt: row.created_at,
  state: row.state,
  attempts: row.attempts,
  due: row.due,
  status: row.status,
  reason: row.reason,
  attemptedAt: row.attempted_at,
});

const stored = (row: Row): StoredDelivery => ({
  ...logged(row),
  failures: row.failures,
  payload: JSON.parse(row.payload) as ChannelEvent,
});
