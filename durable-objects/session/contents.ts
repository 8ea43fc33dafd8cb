import { queuePreview } from "#domain/session/content";
import type { MessageContent } from "#domain/session/values";
import type { SessionStore } from "#objects/session/store";

/** Bytes of content a message's own row holds. Longer content lies beside it in pieces, because a row holds 2 MB. */
const INLINE_BYTES = 500_000;
const PIECE_BYTES = 1_000_000;

/** What a message's row keeps of its content: all of it when `pieces` is 0, otherwise its preview. */
export type StoredContent = { content: string; pieces: number };

export const contentBytes = ({ content, pieces }: StoredContent): number => content.length + pieces * PIECE_BYTES;

/** The text a queue listing shows of a stored message; reads no pieces. */
export const storedPreview = ({ content }: StoredContent): string =>
  queuePreview(JSON.parse(content) as MessageContent);

/** Contents of messages, by the message's number. */
export class Contents {
  readonly #store: SessionStore;

  constructor(store: SessionStore) {
    this.#store = store;
  }

  /** Stores the pieces of a new content in place of the old ones. */
  replace(n: number, content: MessageContent): StoredContent {
    this.#store.sql.exec("DELETE FROM message_pieces WHERE n = ?", n);
    return this.put(n, content);
  }

  /** Stores the pieces of a long content; the caller stores what is returned in the row. */
  put(n: number, content: MessageContent): StoredContent {
    const { sql } = this.#store;
    const text = JSON.stringify(content);
    const bytes = new TextEncoder().encode(text);
    if (bytes.byteLength <= INLINE_BYTES) return { content: text, pieces: 0 };
    let pieces = 0;
    for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
      const piece = bytes.slice(at, at + PIECE_BYTES).buffer;
      sql.exec("INSERT INTO message_pieces (n, i, bytes) VALUES (?, ?, ?)", n, pieces++, piece);
    }
    return { content: JSON.stringify(queuePreview(content)), pieces };
  }

  read(n: number, { content, pieces }: StoredContent): MessageContent {
    if (pieces === 0) return JSON.parse(content) as MessageContent;
    const decoder = new TextDecoder();
    let text = "";
    const rows = this.#store.sql.exec<{ bytes: ArrayBuffer }>(
      "SELECT bytes FROM message_pieces WHERE n = ? ORDER BY i",
      n,
    );
    for (const { bytes } of rows) text += decoder.decode(bytes, { stream: true });
    return JSON.parse(text + decoder.decode()) as MessageContent;
  }
}
