import type { Message } from "#domain/session/values";
import type { JsonObject } from "#kernel/json";
import { type Cache, partNumber, type SessionStore } from "#objects/session/store";

type Prompt = { n: number; text: string };

/** System prompts of model calls. Each text is stored once, however many calls and messages it belongs to. */
export class Prompts implements Cache {
  readonly #store: SessionStore;
  #newest: Prompt | null = null;

  constructor(store: SessionStore) {
    this.#store = store;
    store.attach(this);
  }

  reload(): void {
    this.#newest = null;
  }

  /** The number a step keeps of its prompt; part of a transaction. */
  keep(text: string): number {
    if (this.#newest?.text === text) return this.#newest.n;
    const { sql } = this.#store;
    const [known] = sql.exec<{ n: number }>("SELECT n FROM prompts WHERE text = ?", text).toArray();
    const { n } = known ?? sql.exec<{ n: number }>("INSERT INTO prompts (text) VALUES (?) RETURNING n", text).one();
    this.#newest = { n, text };
    return n;
  }

  /** A message as it is shown: one that a model call wrote names the call's prompt (runtime contract, section 10). */
  shown(message: Message): Message {
    const { metadata } = message;
    const stepId = metadata?.modelCallStepId;
    if (typeof stepId !== "string") return message;
    const [prompt] = this.#store.sql
      .exec<{ text: string }>(
        "SELECT text FROM prompts WHERE n = (SELECT prompt FROM steps WHERE n = ?)",
        partNumber(stepId),
      )
      .toArray();
    return prompt ? { ...message, metadata: { ...metadata, ...systemMessages(prompt.text) } } : message;
  }
}

export const systemMessages = (text: string): JsonObject => ({ systemMessages: [{ role: "system", content: text }] });
