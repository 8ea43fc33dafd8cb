import type { Message } from "#domain/session/values";

/** Bytes of messages kept at hand for the model, far more than a model's context takes. */
export const HISTORY_BYTES = 24_000_000;
/** What always stays: the message that began the newest turn, and the newest message. */
const LEAST_MESSAGES = 2;

type Entry = { message: Message; bytes: number };

/** The newest messages of a session in order, as many as fit into memory. */
export class History {
  #entries: Entry[] = [];
  #bytes = 0;

  get messages(): Message[] {
    return this.#entries.map(({ message }) => message);
  }

  add(message: Message, bytes: number): void {
    this.#entries.push({ message, bytes });
    this.#bytes += bytes;
    while (this.#bytes > HISTORY_BYTES && this.#entries.length > LEAST_MESSAGES) this.#dropOldest();
  }

  /** Gives a message that is held its new content. */
  replace(message: Message, bytes: number): void {
    const at = this.#entries.findIndex((entry) => entry.message.id === message.id);
    const before = this.#entries[at];
    if (!before) return;
    this.#entries[at] = { message, bytes };
    this.#bytes += bytes - before.bytes;
  }

  remove(id: string): void {
    this.#drop(this.#entries.findIndex((entry) => entry.message.id === id));
  }

  #dropOldest(): void {
    const turn = this.#entries.findLastIndex(({ message }) => message.role === "user");
    this.#drop(turn === 0 ? 1 : 0);
  }

  #drop(at: number): void {
    if (at < 0) return;
    const [dropped] = this.#entries.splice(at, 1);
    this.#bytes -= dropped?.bytes ?? 0;
  }
}
