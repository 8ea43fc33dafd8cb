import {
  messageCompleted,
  outputValue,
  type ToolAbout,
  toolEnded,
  toolMessageFields,
  toolStarted,
} from "#domain/session/events";
import { effectKey, type OpenCall, type ToolCall, type ToolResult } from "#domain/session/journal";
import type { Message, Run } from "#domain/session/values";
import type { JsonObject } from "#kernel/json";
import { callMetadata } from "#objects/session/answer";
import type { EventLog } from "#objects/session/event-log";
import type { MessageStore } from "#objects/session/messages";
import type { StepStore, StoredStep } from "#objects/session/steps";

type Entry = { call: ToolCall; message: Message; step: StoredStep | undefined };

/** Tool calls of a run's newest model call: which are open, and the records of those that begin and end. */
export class ToolLedger {
  readonly #messages: MessageStore;
  readonly #steps: StepStore;
  readonly #events: EventLog;

  constructor(messages: MessageStore, steps: StepStore, events: EventLog) {
    this.#messages = messages;
    this.#steps = steps;
    this.#events = events;
  }

  /** Calls that have no stored result yet, in the model's order, and how many the model asked for. */
  open(runId: string): { asked: number; calls: OpenCall[] } {
    const { asked, entries, seq } = this.#entries(runId);
    const calls = entries.map(({ call, step }) => ({ call, begun: step !== undefined, modelStepSeq: seq }));
    return { asked, calls };
  }

  /** Effect keys of the calls that have begun and have no result. */
  inFlight(runId: string): string[] {
    const running = this.#steps.running(runId, "tool_call");
    return running.flatMap((step) => (step.toolCallId ? [effectKey(runId, step.toolCallId)] : []));
  }

  /** A call that is begun again keeps its step. */
  start(run: Run, call: ToolCall, about: ToolAbout, now: number): void {
    if (this.#running(run.id, call)) return;
    this.#insertStep(run, call, about, "running", now);
    this.#events.append(toolStarted(run, call, about, agent(run)), now);
  }

  /** Stores a call's step and result message. Events come in the order of the runtime contract, section 19. */
  finish(run: Run, call: ToolCall, result: ToolResult, about: ToolAbout, now: number): void {
    const { failure, durationMs, output } = result;
    const step = this.#running(run.id, call) ?? this.#insertStep(run, call, about, "running", now);
    const toolStatus = failure ? "failed" : "completed";
    const outcome: JsonObject = failure
      ? { errorCode: failure.code, errorMessage: failure.message, durationMs }
      : { sourceType: about.source, retryPolicy: about.retry, output: { value: outputValue(output) }, durationMs };
    this.#steps.end(step, toolStatus, outcome, now);
    this.#events.append(toolEnded(run, call, result, about, { ...agent(run), toolStatus }), now);
    this.#answer(run, call, result, { toolStatus, toolSourceType: about.source, toolDurationMs: durationMs }, now);
  }

  /** Answers every open call of a run that ends, so that no later model call finds one without a result. */
  close(run: Run, reason: { code: string; message: string }, now: number): void {
    for (const { call, step } of this.#entries(run.id).entries) {
      const durationMs = now - (step?.startedAt ?? now);
      const result: ToolResult = { output: { type: "error-text", value: reason.message }, durationMs, failure: reason };
      if (step) {
        const about = aboutOf(step);
        this.#steps.end(step, "cancelled", { errorCode: reason.code, errorMessage: reason.message, durationMs }, now);
        this.#events.append(toolEnded(run, call, result, about, { ...agent(run), toolStatus: "failed" }), now);
      }
      this.#answer(run, call, result, { toolStatus: "failed", toolDurationMs: durationMs }, now);
    }
  }

  #answer(run: Run, call: ToolCall, result: ToolResult, status: JsonObject, now: number): void {
    const model = this.#steps.lastModelCall(run.id);
    const asked = this.#callMessage(run.id, call);
    const { toolCallId, toolName } = call;
    const answer = this.#messages.insert(
      {
        runId: run.id,
        role: "tool",
        origin: "tool",
        mode: null,
        content: [{ type: "tool-result", toolCallId, toolName, output: result.output }],
        metadata: { ...(model ? callMetadata(run, model) : agent(run)), ...status },
      },
      now,
    );
    const fields = toolMessageFields(call, false);
    if (asked) this.#events.append(messageCompleted(run.id, asked, fields), now);
    this.#events.append(messageCompleted(run.id, answer, toolMessageFields(call, result.failure !== null)), now);
  }

  #entries(runId: string): { asked: number; entries: Entry[]; seq: number } {
    const model = this.#steps.lastModelCall(runId);
    if (!model) return { asked: 0, entries: [], seq: 0 };
    const mine = this.#messages.after(model.messageId, runId);
    const answered = new Set(mine.flatMap((message) => toolPart(message, "tool-result")?.toolCallId ?? []));
    const steps = this.#steps.toolsSince(runId, model.seq).filter((step) => step.status === "running");
    const asked = mine.flatMap((message) => {
      const call = toolPart(message, "tool-call");
      return call ? [{ call, message, step: steps.find((step) => step.toolCallId === call.toolCallId) }] : [];
    });
    const entries = asked.filter(({ call }) => !answered.has(call.toolCallId));
    return { asked: asked.length, entries, seq: model.seq };
  }

  #callMessage(runId: string, call: ToolCall): Message | undefined {
    const model = this.#steps.lastModelCall(runId);
    const mine = model ? this.#messages.after(model.messageId, runId) : [];
    return mine.find((message) => toolPart(message, "tool-call")?.toolCallId === call.toolCallId);
  }

  #running(runId: string, call: ToolCall): StoredStep | undefined {
    return this.#steps.running(runId, "tool_call").find((step) => step.toolCallId === call.toolCallId);
  }

  #insertStep(run: Run, call: ToolCall, about: ToolAbout, status: "running", now: number): StoredStep {
    const { toolCallId, toolName, input } = call;
    return this.#steps.insert(
      {
        runId: run.id,
        stepType: "tool_call",
        name: toolName,
        agentName: run.effectiveAgentName,
        status,
        input: { toolCallId, sourceType: about.source, retryPolicy: about.retry, input },
        toolCallId,
      },
      now,
    );
  }
}

const agent = (run: Run): JsonObject => ({
  agentName: run.agentName,
  effectiveAgentName: run.effectiveAgentName,
  agentMode: "primary",
});

const aboutOf = (step: StoredStep): ToolAbout => ({
  source: (step.input?.sourceType ?? "native") as ToolAbout["source"],
  retry: (step.input?.retryPolicy ?? "manual") as ToolAbout["retry"],
});

function toolPart<T extends "tool-call" | "tool-result">(message: Message, type: T) {
  if (typeof message.content === "string") return undefined;
  return message.content.find((part) => part.type === type) as
    | Extract<Message["content"][number], { type: T }>
    | undefined;
}
