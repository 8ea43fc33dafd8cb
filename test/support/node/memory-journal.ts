import {
  type Journal,
  type ModelCallResult,
  type OpenCall,
  type Progress,
  Superseded,
  type ToolCall,
  type ToolResult,
} from "#domain/session/journal";
import type { Message, Part } from "#domain/session/values";

export class Crash extends Error {}

type StoredCall = OpenCall & { result: ToolResult | null };

/**
 * What a session keeps of one run, in memory. `journal()` gives a new attempt over it, which fences off the one before;
 * `crashAt` makes the n-th writing call of that attempt (from 1) throw `Crash`, before or after it stored its change.
 */
export class MemoryRun {
  readonly runId = "run_00000000000000000000_1";
  readonly messages: Message[] = [];
  readonly calls: StoredCall[] = [];
  readonly failures: { message: string; status: number | null }[] = [];
  readonly writes: string[] = [];
  attempt = 0;
  #modelCalls: ModelCallResult[] = [];
  #open: { seq: number; message: Message } | null = null;

  constructor(history: readonly Omit<Message, "id" | "sessionId" | "createdAt" | "metadata" | "mode">[]) {
    for (const message of history) this.add({ ...message });
  }

  add(message: Pick<Message, "role" | "content" | "runId" | "origin">): Message {
    const n = this.messages.length + 1;
    const stored = { ...message, id: `msg_${n}`, sessionId: "ses_1", mode: null, metadata: null, createdAt: n };
    this.messages.push(stored);
    return stored;
  }

  get modelCalls(): readonly ModelCallResult[] {
    return this.#modelCalls;
  }

  /** What was said and done, without ids and times, to compare runs by. */
  transcript(): unknown[] {
    return this.messages.filter(({ content }) => content.length > 0).map(({ role, content }) => ({ role, content }));
  }

  progress(): Progress {
    return {
      modelCalls: this.#modelCalls.length,
      finished: this.#modelCalls.at(-1)?.toolCalls.length === 0,
      openCalls: this.calls.filter((call) => call.result === null).map(({ result: _, ...call }) => call),
    };
  }

  journal(crashAt?: { call: number; when: "before" | "after" }): Journal {
    const attempt = ++this.attempt;
    let calls = 0;
    const write = <T>(name: string, change: () => T): T => {
      if (attempt !== this.attempt) throw new Superseded();
      calls += 1;
      const crash = crashAt?.call === calls;
      if (crash && crashAt.when === "before") throw new Crash(`before ${name}`);
      const answer = change();
      this.writes.push(name);
      if (crash) throw new Crash(`after ${name}`);
      return answer;
    };
    return {
      runId: this.runId,
      attempt,
      history: () => structuredClone(this.messages),
      progress: () => structuredClone(this.progress()),
      modelCallStarted: () => write("modelCallStarted", () => this.#startModelCall()),
      delta: (text) => write("delta", () => this.#append(text)),
      modelCallFinished: (result) => write("modelCallFinished", () => this.#finishModelCall(result)),
      modelCallFailed: (error) => write("modelCallFailed", () => void this.failures.push(error)),
      toolStarted: (call) => write("toolStarted", () => this.#startTool(call)),
      toolFinished: (call, result) => write("toolFinished", () => this.#finishTool(call, result)),
      log: () => write("log", () => {}),
    };
  }

  #startModelCall() {
    if (this.#open) this.#open.message.content = "";
    const message =
      this.#open?.message ?? this.add({ role: "assistant", content: "", runId: this.runId, origin: "engine" });
    this.#open = { seq: this.#modelCalls.length + 1, message };
    return { stepSeq: this.#open.seq };
  }

  #append(text: string): void {
    if (!this.#open) throw new Error("no model call is open");
    this.#open.message.content = `${this.#open.message.content}${text}`;
  }

  #finishModelCall(result: ModelCallResult): void {
    if (!this.#open) throw new Error("no model call is open");
    this.#open.message.content = result.text === "" ? "" : [{ type: "text", text: result.text }];
    for (const call of result.toolCalls) {
      this.add({ role: "assistant", content: [call], runId: this.runId, origin: "engine" });
      this.calls.push({ call, begun: false, modelStepSeq: this.#open.seq, result: null });
    }
    this.#modelCalls.push(result);
    this.#open = null;
  }

  #startTool(call: ToolCall): void {
    this.#stored(call).begun = true;
  }

  #finishTool(call: ToolCall, result: ToolResult): void {
    const stored = this.#stored(call);
    if (stored.result) throw new Error(`${call.toolCallId} has two results`);
    stored.result = result;
    const { toolCallId, toolName } = call;
    const part: Part = { type: "tool-result", toolCallId, toolName, output: result.output };
    this.add({ role: "tool", content: [part], runId: this.runId, origin: "tool" });
  }

  #stored(call: ToolCall): StoredCall {
    const stored = this.calls.find(({ call: { toolCallId } }) => toolCallId === call.toolCallId);
    if (!stored) throw new Error(`no call ${call.toolCallId}`);
    return stored;
  }
}

/** The journal with `action` performed right after its n-th writing call. */
export function afterWrite(journal: Journal, n: number, action: () => void): Journal {
  let writes = 0;
  return new Proxy(journal, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== "function" || name === "progress" || name === "history") return method;
      return (...args: unknown[]) => {
        const answer: unknown = method.apply(target, args);
        if (++writes === n) action();
        return answer;
      };
    },
  });
}
