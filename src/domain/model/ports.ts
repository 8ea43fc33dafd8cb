import type { Message, Part } from "#domain/session/values";
import type { JsonObject } from "#kernel/json";

/** A tool as a model sees it: name, purpose, and JSON Schema of its input. */
export type ToolSpec = { name: string; description: string; inputSchema: JsonObject };

export type ModelUsage = {
  inputTokens?: number;
  outputTokens?: number;
  totalTokens?: number;
  cachedInputTokens?: number;
  reasoningTokens?: number;
};

export type ModelRequest = {
  system: string;
  messages: readonly Pick<Message, "role" | "content">[];
  tools: readonly ToolSpec[];
  temperature?: number;
  topP?: number;
  maxOutputTokens?: number;
  signal: AbortSignal;
};

/** What one model call streams, in order; `finish` is the last part of a call that worked. */
export type ModelPart =
  | { type: "text"; delta: string }
  | { type: "reasoning"; delta: string }
  | { type: "tool-call"; call: Extract<Part, { type: "tool-call" }> }
  /** The model asked for a tool with input that is not valid JSON or not what the schema says. */
  | { type: "bad-tool-call"; toolCallId: string; toolName: string; input: string; message: string }
  | { type: "finish"; reason: string; usage: ModelUsage };

/** A failed model call: the provider's own message and HTTP status where there was one. */
export class ModelError extends Error {
  readonly status: number | null;
  constructor(message: string, status: number | null) {
    super(message);
    this.name = "ModelError";
    this.status = status;
  }
}

/** A model that can be called. Throws `ModelError`, or the signal's reason when aborted. */
export interface Model {
  /** Canonical reference, `platform/NAME`. */
  readonly ref: string;
  readonly provider: string;
  readonly modelName: string;
  readonly contextWindowTokens: number | null;
  stream(request: ModelRequest): AsyncIterable<ModelPart>;
}

export type ModelInfo = Pick<Model, "ref" | "provider" | "modelName" | "contextWindowTokens"> & {
  url?: string;
  isDefault: boolean;
};

/** The configured models. */
export interface ModelCatalog {
  list(): ModelInfo[];
  /** The model of a reference (`platform/NAME` or a bare name), or the default for null; throws `model_not_found`. */
  get(ref: string | null): Model;
}
