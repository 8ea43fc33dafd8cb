import type { MessagePage } from "#domain/session/ports";
import type { Message, MessageContent } from "#domain/session/values";
import { partId } from "#kernel/id";
import type { JsonObject } from "#kernel/json";
import { Contents, contentBytes, storedPreview } from "#objects/session/contents";
import { HISTORY_BYTES, History } from "#objects/session/history";
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
  pieces: number;
};
const COLUMNS = "n, created_at, run_id, role, origin, mode, content, metadata, pieces";

/** Bytes of content after which a page is cut short: what crosses RPC in one answer is limited. */
const PAGE_BYTES = 8_000_000;

export type NewMessage = Pick<Message, "runId" | "role" | "origin" | "mode" | "content" | "metadata">;

/** Messages of a session. `createdAt` strictly increases, so it alone gives their order. */
export class MessageStore implements Cache {
  readonly #store: SessionStore;
  readonly #contents: Contents;
  #next = 1;
  #lastAt = 0;
  /** Messages whose run has begun, once someone asked for them. */
  #history: History | null = null;
  /** Text of messages that are being streamed; storage holds their beginning. */
  #streaming = new Map<string, string>();

  constructor(store: SessionStore) {
    this.#store = store;
    this.#contents = new Contents(store);
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

  /** `waiting` keeps a message out of the history until `redate` says that its run begins. */
  insert(message: NewMessage, now: number, { id = this.reserve(), waiting = false } = {}): Message {
    const stored: Message = { ...message, id, sessionId: this.#sessionId(), createdAt: this.#tick(now) };
    const n = partNumber(id);
    const kept = this.#contents.put(n, stored.content);
    this.#store.sql.exec(
      `INSERT INTO messages (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      n,
      stored.createdAt,
      stored.runId,
      stored.role,
      stored.origin,
      stored.mode,
      kept.content,
      stored.metadata && JSON.stringify(stored.metadata),
      kept.pieces,
    );
    if (!waiting) this.#history?.add(stored, contentBytes(kept));
    return stored;
  }

  /** Gives a message its final content. */
  finish(id: string, content: MessageContent, metadata: JsonObject | null): Message {
    const n = partNumber(id);
    const kept = this.#contents.replace(n, content);
    this.#store.sql.exec(
      "UPDATE messages SET content = ?, pieces = ?, metadata = ? WHERE n = ?",
      kept.content,
      kept.pieces,
      metadata && JSON.stringify(metadata),
      n,
    );
    this.unstream(id);
    const message = this.get(id);
    if (!message) throw new Error(`message ${id} is not stored`);
    this.#history?.replace(message, contentBytes(kept));
    return message;
  }

  /** Gives a message whose stream was cut the text that readers of the stream have; one never begun stays absent. */
  cut(id: string | null, text: string, metadata: JsonObject | null): void {
    if (id !== null && this.#row(partNumber(id))) this.finish(id, text, metadata);
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
    this.#history?.remove(id);
    const row = this.#history && this.#row(partNumber(id));
    if (row) this.#history?.add(this.#toMessage(row), contentBytes(row));
  }

  get(id: string): Message | undefined {
    const row = this.#row(partNumber(id));
    return row && this.#id(row.n) === id ? this.#toMessage(row) : undefined;
  }

  /** When a message was sent and what a queue listing shows of it. */
  preview(id: string): { content: string; createdAt: number } | undefined {
    const row = this.#row(partNumber(id));
    return row && { content: storedPreview(row), createdAt: row.created_at };
  }

  /** A page in time order, whichever way it was read. It ends early when its messages are large. */
  page({ limit, direction, after }: MessagePage): { items: Message[]; more: boolean } {
    const forward = direction === "forward";
    const [compare, order] = forward ? [">", "ASC"] : ["<", "DESC"];
    const found = this.#store.sql.exec<Row>(
      `SELECT ${COLUMNS} FROM messages ${after ? `WHERE created_at ${compare} ?` : ""} ORDER BY created_at ${order} LIMIT ?`,
      ...(after ? [after.createdAt, limit + 1] : [limit + 1]),
    );
    const rows: Row[] = [];
    let bytes = 0;
    let more = false;
    for (const row of found) {
      bytes += contentBytes(row);
      more = rows.length === limit || (rows.length > 0 && bytes > PAGE_BYTES);
      if (more) break;
      rows.push(row);
    }
    const items = rows.map((row) => this.#toMessage(row));
    return { items: forward ? items : items.reverse(), more };
  }

  /** Messages of a run with a number above that of `id`, in the order of their numbers. */
  after(id: string, runId: string): Message[] {
    return this.#store.sql
      .exec<Row>(`SELECT ${COLUMNS} FROM messages WHERE n > ? AND run_id = ? ORDER BY n`, partNumber(id), runId)
      .toArray()
      .map((row) => this.#toMessage(row));
  }

  /** The newest messages in order, without those whose run still waits. */
  history(): readonly Message[] {
    this.#history ??= this.#readHistory();
    return this.#history.messages;
  }

  /** Goes back until enough is read and the message that began the newest turn is among it. */
  #readHistory(): History {
    const waiting = new Set(this.#store.state.pending.map(({ runId }) => runId));
    const newestFirst = this.#store.sql.exec<Pick<Row, "n" | "run_id" | "role" | "pieces"> & { bytes: number }>(
      "SELECT n, run_id, role, pieces, LENGTH(content) AS bytes FROM messages ORDER BY created_at DESC",
    );
    const numbers: number[] = [];
    let bytes = 0;
    let turnSeen = false;
    for (const row of newestFirst) {
      if (row.run_id !== null && waiting.has(row.run_id)) continue;
      const isTurn: boolean = row.role === "user" && !turnSeen;
      if (bytes > HISTORY_BYTES && turnSeen) break;
      if (bytes <= HISTORY_BYTES || isTurn) numbers.push(row.n);
      bytes += contentBytes({ content: "", pieces: row.pieces }) + row.bytes;
      turnSeen ||= isTurn;
    }
    const history = new History();
    for (const n of numbers.reverse()) {
      const row = this.#row(n);
      if (row) history.add(this.#toMessage(row), contentBytes(row));
    }
    return history;
  }

  #row(n: number): Row | undefined {
    return this.#store.sql.exec<Row>(`SELECT ${COLUMNS} FROM messages WHERE n = ?`, n).toArray()[0];
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
      content: this.#streaming.get(id) ?? this.#contents.read(row.n, row),
      metadata: row.metadata === null ? null : (JSON.parse(row.metadata) as JsonObject),
      createdAt: row.created_at,
    };
  }
}
