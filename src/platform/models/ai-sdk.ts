import type { LanguageModelV4StreamPart as StreamPart } from "@ai-sdk/provider";
import type { LanguageModel } from "ai";
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
        for await (const part of await openStream(await languageModel(), request)) {
          const known = toModelPart(part);
          if (known) yield known;
        }
      } catch (error) {
        request.signal.throwIfAborted();
        const { message, status } = toModelError(error);
        throw new ModelError(redact(message), status);
      }
    },
  };
}

/**
 * Opens the provider's stream with the SDK's own prompt conversion and retries. `streamText` is left out: the layers it
 * puts over the stream cost several times the CPU of the call itself in the Workers runtime, for each piece of text.
 */
async function openStream(model: LanguageModel, request: ModelRequest): Promise<ReadableStream<StreamPart>> {
  const sdk = await import("ai/internal");
  const provider = sdk.resolveLanguageModel(model);
  const prompt = await sdk.convertToLanguageModelPrompt({
    prompt: await sdk.standardizePrompt({
      messages: toModelMessages(request.messages),
      ...(request.system && { instructions: request.system }),
    }),
    supportedUrls: await provider.supportedUrls,
    // Addresses in messages are handed to the provider: nothing a user names is fetched from here.
    download: async (downloads) => downloads.map(() => null),
  });
  const { retry } = sdk.prepareRetries({ maxRetries: MAX_RETRIES, abortSignal: request.signal });
  const { stream } = await retry(() => provider.doStream({ prompt, ...optionsOf(request) }));
  return stream;
}

function optionsOf({ tools, temperature, topP, maxOutputTokens, signal }: ModelRequest) {
  return {
    abortSignal: signal,
    ...(tools.length > 0 && { tools: tools.map((tool) => ({ type: "function" as const, ...tool })) }),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { topP }),
    ...(maxOutputTokens !== undefined && { maxOutputTokens }),
  };
}

/** Our part for one of the provider's, or null for those that only frame others. */
function toModelPart(part: StreamPart): ModelPart | null {
  switch (part.type) {
    case "text-delta":
      return { type: "text", delta: part.delta };
    case "reasoning-delta":
      return { type: "reasoning", delta: part.delta };
    case "tool-call":
      return toToolPart(part);
    case "finish":
      return { type: "finish", reason: part.finishReason.unified, usage: toUsage(part.usage) };
    case "error":
      throw part.error;
    default:
      return null;
  }
}

/** The input of a call is JSON text; none at all stands for an empty object. */
function toToolPart({ toolCallId, toolName, input }: Extract<StreamPart, { type: "tool-call" }>): ModelPart {
  try {
    const parsed: Json = input.trim() === "" ? {} : JSON.parse(input);
    return { type: "tool-call", call: { type: "tool-call", toolCallId, toolName, input: parsed } };
  } catch (error) {
    return {
      type: "bad-tool-call",
      toolCallId,
      toolName,
      input,
      message: `the input is not valid JSON: ${describe(error)}`,
    };
  }
}

function toUsage({
  inputTokens: input,
  outputTokens: output,
}: Extract<StreamPart, { type: "finish" }>["usage"]): ModelUsage {
  const total =
    input.total === undefined && output.total === undefined ? undefined : (input.total ?? 0) + (output.total ?? 0);
  const counts = {
    inputTokens: input.total,
    outputTokens: output.total,
    totalTokens: total,
    cachedInputTokens: input.cacheRead,
    reasoningTokens: output.reasoning,
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
