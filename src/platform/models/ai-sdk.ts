import type { LanguageModel, LanguageModelUsage, TextStreamPart, ToolSet } from "ai";
import { type Model, ModelError, type ModelPart, type ModelRequest, type ModelUsage } from "#domain/model/ports";
import type { Json } from "#kernel/json";
import { toModelMessages } from "#platform/models/messages";

/** Retries of a request that failed before its answer began; the SDK waits longer before each. */
const MAX_RETRIES = 2;

type Identity = Pick<Model, "ref" | "provider" | "modelName" | "contextWindowTokens">;

/**
 * A model over the AI SDK. Each `stream` is one call to the provider; tools are described, never executed, here.
 * `redact` takes secrets out of a provider's error message, which reaches users.
 */
export function aiSdkModel(
  identity: Identity,
  languageModel: () => Promise<LanguageModel>,
  redact: (text: string) => string = (text) => text,
): Model {
  return {
    ...identity,
    async *stream(request) {
      request.signal.throwIfAborted();
      try {
        const parts = await streamParts(await languageModel(), request);
        for await (const part of parts) yield* toModelParts(part, request.signal);
      } catch (error) {
        request.signal.throwIfAborted();
        const { message, status } = toModelError(error);
        throw new ModelError(redact(message), status);
      }
    },
  };
}

async function streamParts(
  model: LanguageModel,
  request: ModelRequest,
): Promise<AsyncIterable<TextStreamPart<ToolSet>>> {
  const { jsonSchema, stepCountIs, streamText } = await import("ai");
  // The SDK reads this global; its warnings would go to the console of whoever runs the server.
  Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false });
  const tools = Object.fromEntries(
    request.tools.map(({ name, description, inputSchema }) => [
      name,
      { description, inputSchema: jsonSchema(inputSchema) },
    ]),
  );
  const result = streamText({
    model,
    messages: toModelMessages(request.messages),
    stopWhen: stepCountIs(1),
    maxRetries: MAX_RETRIES,
    abortSignal: request.signal,
    telemetry: { isEnabled: false },
    // The error also comes as a part of the stream; without a handler the SDK prints it.
    onError: () => {},
    // Addresses in messages are handed to the provider: nothing a user names is fetched from here.
    experimental_download: async (downloads) => downloads.map(() => null),
    ...(request.system && { instructions: request.system }),
    ...(request.tools.length > 0 && { tools }),
    ...(request.temperature !== undefined && { temperature: request.temperature }),
    ...(request.topP !== undefined && { topP: request.topP }),
    ...(request.maxOutputTokens !== undefined && { maxOutputTokens: request.maxOutputTokens }),
  });
  return result.fullStream;
}

function* toModelParts(part: TextStreamPart<ToolSet>, signal: AbortSignal): Generator<ModelPart> {
  switch (part.type) {
    case "text-delta":
      yield { type: "text", delta: part.text };
      return;
    case "reasoning-delta":
      yield { type: "reasoning", delta: part.text };
      return;
    case "tool-call":
      yield toToolPart(part);
      return;
    case "finish-step":
      yield { type: "finish", reason: part.finishReason, usage: toUsage(part.usage) };
      return;
    case "error":
      throw part.error;
    case "abort":
      signal.throwIfAborted();
      throw new ModelError("the model call was aborted", null);
  }
}

type ToolCallPart = Extract<TextStreamPart<ToolSet>, { type: "tool-call" }>;

/** Input that could not be parsed arrives as text; a tool nobody offered still has its input as JSON. */
function toToolPart({ toolCallId, toolName, input, ...rest }: ToolCallPart): ModelPart {
  if (typeof input !== "string") {
    return { type: "tool-call", call: { type: "tool-call", toolCallId, toolName, input: input as Json } };
  }
  const error = "error" in rest ? rest.error : undefined;
  const message = error instanceof Error ? error.message : "the input is not valid JSON";
  return { type: "bad-tool-call", toolCallId, toolName, input, message };
}

function toUsage(usage: LanguageModelUsage): ModelUsage {
  const counts = {
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    totalTokens: usage.totalTokens,
    cachedInputTokens: usage.inputTokenDetails?.cacheReadTokens,
    reasoningTokens: usage.outputTokenDetails?.reasoningTokens,
  };
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== undefined));
}

/** The provider's message and HTTP status, also when the SDK wrapped them after its last retry. */
function toModelError(error: unknown): ModelError {
  if (error instanceof ModelError) return error;
  const last = lastError(error);
  const status = property(last, "statusCode");
  const refused = typeof status === "number" && status >= 400;
  // A status of success with an error means that the body broke off; only the cause says how.
  const cause = refused || status === undefined ? "" : describe(property(last, "cause"));
  const message = [describe(last) || "the model call failed", cause].filter(Boolean).join(": ");
  return new ModelError(message, refused ? status : null);
}

function lastError(error: unknown): unknown {
  const last = property(error, "lastError");
  return last === undefined ? error : lastError(last);
}

function describe(thrown: unknown): string {
  const message = property(thrown, "message");
  if (typeof message === "string") return message;
  return typeof thrown === "string" ? thrown : (JSON.stringify(thrown) ?? "");
}

const property = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
