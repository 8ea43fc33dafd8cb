import {
  engineLog,
  MAX_LISTED_ITEMS,
  type NewEvent,
  queueUpdated,
  recoveryMetadata,
  runEnded,
  runQueued,
  runStarted,
} from "#domain/session/events";
import type { PendingRun, RunEnd, SessionEffect } from "#domain/session/machine";
import type { QueueItem, Run } from "#domain/session/values";
import { callMetadata, type LiveAnswer } from "#objects/session/answer";
import type { EventLog } from "#objects/session/event-log";
import type { MessageStore } from "#objects/session/messages";
import type { Prompts } from "#objects/session/prompts";
import type { StepStore } from "#objects/session/steps";
import type { SessionStore } from "#objects/session/store";
import type { ToolLedger } from "#objects/session/tool-ledger";

export type Records = {
  store: SessionStore;
  messages: MessageStore;
  steps: StepStore;
  events: EventLog;
  answer: LiveAnswer;
  tools: ToolLedger;
  prompts: Prompts;
};

/** Carries the machine's effects into rows and events, inside the transaction that stores its state. */
export class Recorder {
  readonly #records: Records;

  constructor(records: Records) {
    this.#records = records;
  }

  apply(effect: SessionEffect, now: number): void {
    const { store, messages } = this.#records;
    switch (effect.type) {
      case "accepted":
        this.#emit(runQueued(this.#run(effect.runId)), now);
        break;
      case "queue":
        if (effect.action === "dequeued") messages.redate(effect.run.messageId, now);
        this.#queueChanged(effect, now);
        break;
      case "cancel_requested":
        store.patchRun(effect.runId, { cancelRequestedAt: now });
        break;
      case "status":
        store.patchRun(effect.runId, { status: effect.status });
        break;
      case "started":
        this.#started(effect.runId, now);
        break;
      case "resumed":
        this.#resumed(effect.runId, effect.attempt, now);
        break;
      case "ended":
        this.#ended(effect.runId, effect, now);
        break;
      case "abort":
        break;
      default:
        effect satisfies never;
    }
  }

  /** Waiting messages in their order, positions counted from 1. */
  queueItems(pending: readonly PendingRun[]): QueueItem[] {
    return pending.flatMap(({ runId, messageId }, index) => {
      const shown = this.#records.messages.preview(messageId);
      return shown ? { runId, messageId, ...shown, position: index + 1 } : [];
    });
  }

  #queueChanged({ run, action, pending }: Extract<SessionEffect, { type: "queue" }>, now: number): void {
    const items = this.queueItems(pending.slice(0, MAX_LISTED_ITEMS));
    this.#emit(queueUpdated(run.runId, action, run.position, items), now);
  }

  #started(runId: string, now: number): void {
    const run = this.#records.store.patchRun(runId, { status: "running", startedAt: now, heartbeatAt: now });
    this.#systemStep(run, "run.started", now);
    this.#emit(runStarted(run), now);
  }

  #resumed(runId: string, attempt: number, now: number): void {
    const run = this.#records.store.patchRun(runId, { status: "running", heartbeatAt: now });
    const details = { attempt };
    this.#emit(
      engineLog(
        run,
        { level: "warn", category: "run", message: "the run goes on after an interruption", details },
        now,
      ),
      now,
    );
  }

  #ended(runId: string, end: RunEnd, now: number): void {
    const { store } = this.#records;
    const before = this.#run(runId);
    if (before.startedAt !== null) this.#closeOpen(before, end, now);
    const run = store.patchRun(runId, {
      status: end.status,
      endedAt: now,
      errorCode: end.error?.code ?? null,
      errorMessage: end.error?.message ?? null,
      ...(end.lostAttempts > 0 && { metadata: { ...before.metadata, ...recoveryMetadata(end.lostAttempts, now) } }),
    });
    this.#systemStep(run, `run.${end.status}`, now);
    if (store.session) store.session = { ...store.session, updatedAt: now, lastRunAt: now };
    this.#emit(runEnded(run, end), now);
  }

  /** Keeps what a run leaves unfinished: partial text stays as it is, open tool calls get an answer. */
  #closeOpen(run: Run, { status }: RunEnd, now: number): void {
    const { steps, answer, messages, tools } = this.#records;
    for (const step of steps.running(run.id, "model_call")) {
      const text = answer.end(step, now);
      messages.cut(step.messageId, text, callMetadata(run, step));
      steps.end(step, status === "failed" ? "failed" : "cancelled", text ? { response: { text } } : null, now);
    }
    const message = `The run ended (${status}) before this call had a result; what it did is not known.`;
    tools.close(run, { code: `run_${status}`, message }, now);
  }

  #systemStep(run: Run, name: string, now: number): void {
    const { status, errorCode, errorMessage } = run;
    const output = { status, ...(errorCode && { errorCode }), ...(errorMessage && { errorMessage }) };
    const agentName = run.effectiveAgentName;
    this.#records.steps.insert(
      { runId: run.id, stepType: "system", name, agentName, status: "completed", output },
      now,
    );
  }

  #emit(event: NewEvent, now: number): void {
    this.#records.events.append(event, now);
  }

  #run(id: string): Run {
    const run = this.#records.store.run(id);
    if (!run) throw new Error(`run ${id} is not stored`);
    return run;
  }
}
