import { messageDelta, messageReset } from "#domain/session/events";
import type { Run } from "#domain/session/values";
import type { JsonObject } from "#kernel/json";
import type { Log } from "#kernel/log";
import type { EventLog } from "#objects/session/event-log";
import type { MessageStore } from "#objects/session/messages";
import { systemMessages } from "#objects/session/prompts";
import type { StoredStep } from "#objects/session/steps";
import type { Cache, SessionStore } from "#objects/session/store";

/** Shortest time between two stored pieces of a streamed text. */
const PIECE_MS = 50;

type Open = {
  runId: string;
  messageId: string;
  metadata: JsonObject;
  system: string | undefined;
  text: string;
  stored: number;
  inserted: boolean;
};

/** Metadata the engine gives to messages that a model call writes. */
export const callMetadata = (run: Run, step: { id: string; seq: number }): JsonObject => ({
  agentName: run.agentName,
  effectiveAgentName: run.effectiveAgentName,
  agentMode: "primary",
  modelCallStepId: step.id,
  modelCallStepSeq: step.seq,
});

/** The text a model is writing. The first piece is stored at once, later ones together, at most one per 50 ms. */
export class LiveAnswer implements Cache {
  readonly #store: SessionStore;
  readonly #messages: MessageStore;
  readonly #events: EventLog;
  readonly #log: Log;
  #open: Open | null = null;
  #lastPieceAt = 0;
  /** System prompt that readers were told last; they are told again when it changes. */
  #toldSystem: string | undefined;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(store: SessionStore, messages: MessageStore, events: EventLog, log: Log) {
    this.#store = store;
    this.#log = log;
    this.#messages = messages;
    this.#events = events;
    store.attach(this);
  }

  /** A failed transaction may have undone a piece: what is stored is then the whole truth. */
  reload(): void {
    this.#toldSystem = undefined;
    this.#forget();
  }

  /** Begins the message of a model call; of a call that is repeated, readers are told to drop what they saw. */
  begin(run: Run, step: StoredStep, system: string | undefined, now: number): void {
    const { messageId } = step;
    if (!messageId) return;
    this.#forget();
    const metadata = callMetadata(run, step);
    const inserted = this.#messages.get(messageId) !== undefined;
    if (inserted && this.#events.streamedText(run.id, messageId) !== "") {
      this.#events.append(messageReset(run.id, messageId, metadata), now);
    }
    this.#open = { runId: run.id, messageId, metadata, system, text: "", stored: 0, inserted };
  }

  add(text: string, now: number): void {
    const open = this.#open;
    if (!open || text === "") return;
    open.text += text;
    this.#messages.stream(open.messageId, open.text);
    const wait = this.#lastPieceAt + PIECE_MS - now;
    if (open.stored === 0 || wait <= 0) this.flush(now);
    else this.#timer ??= setTimeout(() => this.#flushLater(), wait);
  }

  /** Stores and sends the text that has not been yet. */
  flush(now: number): void {
    this.#stopTimer();
    const open = this.#open;
    if (!open || open.text.length === open.stored) return;
    const piece = open.text.slice(open.stored);
    this.#store.transaction(() => {
      const { runId, messageId, metadata, system } = open;
      if (!open.inserted) {
        const message = { runId, role: "assistant", origin: "engine", mode: null, content: piece, metadata } as const;
        this.#messages.insert(message, now, { id: messageId });
      }
      const news = system && system !== this.#toldSystem ? systemMessages(system) : {};
      this.#events.append(messageDelta(runId, messageId, piece, { ...metadata, ...news }), now);
    });
    this.#toldSystem = open.system;
    open.inserted = true;
    open.stored = open.text.length;
    this.#lastPieceAt = now;
  }

  /** Ends the stream of a model call and answers the text that came, also of one cut by a restart. */
  end(step: StoredStep, now: number): string {
    const { messageId, runId } = step;
    if (this.#open?.messageId !== messageId) return messageId ? this.#events.streamedText(runId, messageId) : "";
    this.flush(now);
    const text = this.#open?.text ?? "";
    this.#forget();
    return text;
  }

  #flushLater(): void {
    this.#timer = null;
    try {
      this.flush(Date.now());
    } catch (error) {
      this.#log.error("a piece of streamed text was not stored", { error });
    }
  }

  #forget(): void {
    this.#stopTimer();
    if (this.#open) this.#messages.unstream(this.#open.messageId);
    this.#open = null;
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
