import type { ModelUsage } from "#domain/model/ports";
import type { Message, Part, ToolOutput } from "#domain/session/values";
import type { JsonObject } from "#kernel/json";

export type ToolCall = Extract<Part, { type: "tool-call" }>;
export type ToolSource = "native" | "action" | "skill" | "agent" | "tool";

/** What a crash left of a tool call: never begun, or begun with an outcome nobody knows. */
export type OpenCall = { call: ToolCall; begun: boolean; modelStepSeq: number };

/** Where a run stands, read from what is stored; after a crash it is all the loop knows. */
export type Progress = {
  /** Model calls of this run whose result is stored. */
  modelCalls: number;
  /** True when the newest stored model call asked for no tool: the run is done. */
  finished: boolean;
  /** Tool calls the model asked for that have no stored result yet, in the model's order. */
  openCalls: OpenCall[];
};

export type ModelCallResult = {
  text: string;
  reasoning: string;
  toolCalls: ToolCall[];
  finishReason: string;
  usage: ModelUsage;
};

export type ToolResult = {
  output: ToolOutput;
  durationMs: number;
  /** Set when the tool failed; the model still gets `output`. */
  failure: { code: string; message: string } | null;
};

/** Thrown by every journal method once a newer attempt of the run, or its end, has fenced this one off. */
export class Superseded extends Error {
  constructor() {
    super("a newer attempt owns this run");
    this.name = "Superseded";
  }
}

/**
 * The durable record of one attempt of a run, as the agent loop writes it. Every method stores its rows and events in
 * one transaction before it returns, and throws `Superseded` when the attempt is no longer the newest (R4).
 */
export interface Journal {
  readonly runId: string;
  readonly attempt: number;
  /** Messages of the session in order, those of this run included and those of queued runs left out. */
  history(): readonly Message[];
  progress(): Progress;
  /**
   * Opens the step of a model call. The assistant message's id is fixed here: an attempt that repeats a call cut by a
   * crash gets the same step and message back, and readers are told to drop what they saw of it. `system` is the prompt
   * that the call's messages are shown with.
   */
  modelCallStarted(call: { model: string; agentName: string; request: JsonObject; system?: string }): {
    stepSeq: number;
  };
  /** Adds streamed text to the open call's message. Stored and sent in pieces of at most one per 50 ms. */
  delta(text: string): void;
  /** Stores the answer: the message, one message per tool call, and the finished step. */
  modelCallFinished(result: ModelCallResult): void;
  modelCallFailed(error: { message: string; status: number | null }): void;
  /** Notes that a tool call begins; from here on its effect may have happened. */
  toolStarted(call: ToolCall, about: { source: ToolSource; retry: "safe" | "manual" }): void;
  toolFinished(call: ToolCall, result: ToolResult, about: { source: ToolSource; retry: "safe" | "manual" }): void;
  /** Adds an `engine.log` event to the stream. */
  log(
    level: "debug" | "info" | "warn" | "error",
    category: "run" | "model" | "tool",
    message: string,
    details?: JsonObject,
  ): void;
}

/** Stable key of a tool call's effect, the same in every attempt (R3). */
export const effectKey = (runId: string, toolCallId: string): string => `${runId}:${toolCallId}`;

/** How an attempt of a run ended. `aborted` leaves the terminal status to whoever aborted it. */
export type Outcome = { type: "completed" } | { type: "failed"; code: string; message: string } | { type: "aborted" };
