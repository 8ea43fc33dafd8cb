import { answerContent, engineLog, messageCompleted, type ToolAbout } from "#domain/session/events";
import {
  type Journal,
  type ModelCallResult,
  type Progress,
  Superseded,
  type ToolCall,
  type ToolResult,
} from "#domain/session/journal";
import type { SessionMachineEvent } from "#domain/session/machine";
import type { Message, Run } from "#domain/session/values";
import type { JsonObject } from "#kernel/json";
import { callMetadata } from "#objects/session/answer";
import type { Records } from "#objects/session/recorder";
import type { StoredStep } from "#objects/session/steps";

/** The record one attempt of a run writes. Each method is one transaction, fenced by the attempt's number. */
export class RunJournal implements Journal {
  readonly runId: string;
  readonly attempt: number;
  readonly #records: Records;
  readonly #react: (event: SessionMachineEvent) => void;
  #call: StoredStep | null = null;

  /** `react` feeds the session's machine inside the running transaction. */
  constructor(runId: string, attempt: number, records: Records, react: (event: SessionMachineEvent) => void) {
    this.runId = runId;
    this.attempt = attempt;
    this.#records = records;
    this.#react = react;
  }

  history(): readonly Message[] {
    this.#run();
    return this.#records.messages.history();
  }

  progress(): Progress {
    this.#run();
    const { steps, tools } = this.#records;
    const modelCalls = steps.modelCalls(this.runId);
    const { asked, calls } = tools.open(this.runId);
    return { modelCalls, finished: modelCalls > 0 && asked === 0, openCalls: calls };
  }

  modelCallStarted({ model, agentName, request, system }: Parameters<Journal["modelCallStarted"]>[0]): {
    stepSeq: number;
  } {
    return this.#write((run, now) => {
      const { steps, messages, answer, prompts } = this.#records;
      const step =
        steps.running(run.id, "model_call")[0] ??
        steps.insert(
          {
            runId: run.id,
            stepType: "model_call",
            name: model,
            agentName,
            status: "running",
            input: request,
            messageId: messages.reserve(),
            ...(system && { prompt: prompts.keep(system) }),
          },
          now,
        );
      this.#call = step;
      answer.begin(run, step, system, now);
      return { stepSeq: step.seq };
    });
  }

  delta(text: string): void {
    this.#run();
    this.#records.answer.add(text, Date.now());
  }

  modelCallFinished(result: ModelCallResult): void {
    this.#write((run, now) => {
      const step = this.#openCall();
      const { answer, steps, messages } = this.#records;
      answer.end(step, now);
      const metadata = callMetadata(run, step);
      this.#storeAnswer(run, step, result, metadata, now);
      for (const call of result.toolCalls) {
        const content = [call];
        messages.insert({ runId: run.id, role: "assistant", origin: "engine", mode: null, content, metadata }, now);
      }
      steps.end(step, "completed", modelOutput(result), now);
      this.#react({ type: "progressed" });
    });
    this.#call = null;
  }

  modelCallFailed({ message, status }: { message: string; status: number | null }): void {
    this.#write((run, now) => {
      const step = this.#openCall();
      const { answer, steps, messages } = this.#records;
      const text = answer.end(step, now);
      messages.cut(step.messageId, text, callMetadata(run, step));
      const error = { errorMessage: message, ...(status !== null && { status }) };
      steps.end(step, "failed", { ...error, ...(text && { response: { text } }) }, now);
    });
    this.#call = null;
  }

  toolStarted(call: ToolCall, about: ToolAbout): void {
    this.#write((run, now) => {
      this.#records.tools.start(run, call, about, now);
      this.#noteInFlight();
    });
  }

  toolFinished(call: ToolCall, result: ToolResult, about: ToolAbout): void {
    this.#write((run, now) => {
      this.#records.tools.finish(run, call, result, about, now);
      this.#noteInFlight();
      this.#react({ type: "progressed" });
    });
  }

  log(
    level: "debug" | "info" | "warn" | "error",
    category: "run" | "model" | "tool",
    message: string,
    details?: JsonObject,
  ): void {
    this.#write((run, now) => {
      const entry = { level, category, message, ...(details && { details }) };
      this.#records.events.append(engineLog(run, entry, now), now);
    });
  }

  #storeAnswer(run: Run, step: StoredStep, result: ModelCallResult, metadata: JsonObject, now: number): void {
    const { messages, events } = this.#records;
    const { text, reasoning, toolCalls, finishReason } = result;
    const id = step.messageId;
    if (!id) return;
    const streamed = messages.get(id) !== undefined;
    if (!text && !reasoning && toolCalls.length > 0 && !streamed) return;
    const content = answerContent(text, reasoning);
    const message = streamed
      ? messages.finish(id, content, metadata)
      : messages.insert({ runId: run.id, role: "assistant", origin: "engine", mode: null, content, metadata }, now, {
          id,
        });
    events.append(messageCompleted(run.id, message, toolCalls.length === 0 ? { finishReason } : {}), now);
  }

  #noteInFlight(): void {
    this.#react({ type: "tools", inFlight: this.#records.tools.inFlight(this.runId).length });
  }

  #openCall(): StoredStep {
    if (!this.#call) throw new Error("no model call is open");
    return this.#call;
  }

  #write<T>(work: (run: Run, now: number) => T): T {
    return this.#records.store.transaction(() => work(this.#run(), Date.now()));
  }

  /** The run, as long as this attempt owns it (R4). */
  #run(): Run {
    const { store } = this.#records;
    const { active } = store.state;
    const run = active?.runId === this.runId && active.attempt === this.attempt ? store.run(this.runId) : undefined;
    if (!run) throw new Superseded();
    return run;
  }
}

const modelOutput = ({ text, toolCalls, usage, finishReason }: ModelCallResult): JsonObject => ({
  response: {
    text,
    finishReason,
    usage: { ...usage },
    toolCalls: toolCalls.map(({ toolCallId, toolName, input }) => ({ toolCallId, toolName, input })),
  },
  runtime: { toolCallsCount: toolCalls.length },
});
