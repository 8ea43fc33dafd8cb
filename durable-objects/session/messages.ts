import type { MessagePage } from "#domain/session/ports";
import type { Message, MessageContent } from "#domain/session/values";
import { partId } from "#kernel/id";
import type { JsonObject } from "#kernel/json";
import { type Cache, partNumber, type SessionStore } from "#objects/session/store";

type Row = {
  n: number;
  created_at: number;
  run_id: string | null;
  role: string;
  origin: string;
  mode: string | null;
  content: string;
  metadata: string | null;
};
const COLUMNS = "n, created_at, run_id, role, origin, mode, content, metadata";

export type NewMessage = Pick<Message, "runId" | "role" | "origin" | "mode" | "content" | "metadata">;

/** Messages of a session. `createdAt` strictly increases, so it alone gives their order. */
export class MessageStore implements Cache {
  readonly #store: SessionStore;
  #next = 1;
  #lastAt = 0;
  /** All messages in order, once someone asked for the history. */
  #history: Message[] | null = null;
  /** Text of messages that are being streamed; storage holds their beginning. */
  #streaming = new Map<string, string>();

  constructor(store: SessionStore) {
    this.#store = store;
    store.attach(this);
  }

  reload(): void {
    const { sql } = this.#store;
    const row = sql
      .exec<{ last: number | null; at: number | null; reserved: number | null }>(
        `SELECT MAX(n) AS last, MAX(created_at) AS at, (SELECT MAX(message_n) FROM steps) AS reserved FROM messages`,
      )
      .one();
    this.#next = Math.max(row.last ?? 0, row.reserved ?? 0) + 1;
    this.#lastAt = row.at ?? 0;
    this.#history = null;
  }

  /** Takes the id of a message that is inserted later; the caller stores its number. */
  reserve(): string {
    return this.#id(this.#next++);
  }

  insert(message: NewMessage, now: number, id = this.reserve()): Message {
    const stored: Message = { ...message, id, sessionId: this.#sessionId(), createdAt: this.#tick(now) };
    this.#store.sql.exec(
      `INSERT INTO messages (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      partNumber(id),
      stored.createdAt,
      stored.runId,
      stored.role,
      stored.origin,
      stored.mode,
      JSON.stringify(stored.content),
      stored.metadata && JSON.stringify(stored.metadata),
    );
    this.#history?.push(stored);
    return stored;
  }

  /** Gives a message its final content. */
  finish(id: string, content: MessageContent, metadata: JsonObject | null): Message {
    this.#store.sql.exec(
      "UPDATE messages SET content = ?, metadata = ? WHERE n = ?",
      JSON.stringify(content),
      metadata && JSON.stringify(metadata),
      partNumber(id),
    );
    this.unstream(id);
    this.#history = this.#history?.map((each) => (each.id === id ? { ...each, content, metadata } : each)) ?? null;
    const message = this.get(id);
    if (!message) throw new Error(`message ${id} is not stored`);
    return message;
  }

  /** Shows `text` as the content of a message while it streams; memory only. */
  stream(id: string, text: string): void {
    this.#streaming.set(id, text);
  }

  /** Shows what is stored of a message again. */
  unstream(id: string): void {
    this.#streaming.delete(id);
  }

  /** Moves a message to the end of the session, as its run begins. */
  redate(id: string, now: number): void {
    const createdAt = this.#tick(now);
    this.#store.sql.exec("UPDATE messages SET created_at = ? WHERE n = ?", createdAt, partNumber(id));
    const moved = this.#history?.find((each) => each.id === id);
    if (!moved || !this.#history) return;
    this.#history = [...this.#history.filter((each) => each !== moved), { ...moved, createdAt }];
  }

  get(id: string): Message | undefined {
    const [row] = this.#store.sql.exec<Row>(`SELECT ${COLUMNS} FROM messages WHERE n = ?`, partNumber(id)).toArray();
    const message = row && this.#toMessage(row);
    return message?.id === id ? message : undefined;
  }

  /** A page in time order, whichever way it was read. */
  page({ limit, direction, after }: MessagePage): { items: Message[]; more: boolean } {
    const forward = direction === "forward";
    const [compare, order] = forward ? [">", "ASC"] : ["<", "DESC"];
    const rows = this.#store.sql
      .exec<Row>(
        `SELECT ${COLUMNS} FROM messages ${after ? `WHERE created_at ${compare} ?` : ""} ORDER BY created_at ${order} LIMIT ?`,
        ...(after ? [after.createdAt, limit + 1] : [limit + 1]),
      )
      .toArray();
    const items = rows.slice(0, limit).map((row) => this.#toMessage(row));
    return { items: forward ? items : items.reverse(), more: rows.length > limit };
  }

  /** Messages in order without those of the given runs, which have not begun. */
  history(without: ReadonlySet<string>): readonly Message[] {
    this.#history ??= this.#store.sql
      .exec<Row>(`SELECT ${COLUMNS} FROM messages ORDER BY created_at`)
      .toArray()
      .map((row) => this.#toMessage(row));
    if (without.size === 0) return [...this.#history];
    return this.#history.filter((message) => message.runId === null || !without.has(message.runId));
  }

  #tick(now: number): number {
    this.#lastAt = Math.max(now, this.#lastAt + 1);
    return this.#lastAt;
  }

  #sessionId(): string {
    return this.#store.session?.id ?? "";
  }

  #id(n: number): string {
    return partId("message", this.#sessionId(), n);
  }

  #toMessage(row: Row): Message {
    const id = this.#id(row.n);
    return {
      id,
      sessionId: this.#sessionId(),
      runId: row.run_id,
      role: row.role as Message["role"],
      origin: row.origin as Message["origin"],
      mode: row.mode as Message["mode"],
      content: this.#streaming.get(id) ?? (JSON.parse(row.content) as MessageContent),
      metadata: row.metadata === null ? null : (JSON.parse(row.metadata) as JsonObject),
      createdAt: row.created_at,
    };
  }
}
