import type { Model, ModelPart, ModelRequest } from "#domain/model/ports";
import type { Json } from "#kernel/json";

type Turn = (request: ModelRequest) => AsyncIterable<ModelPart> | Iterable<ModelPart>;

/** A model that plays one turn per answer already in the conversation, so a repeated call gets the same turn again. */
export function scriptedModel(turns: readonly Turn[]): Model & { requests: ModelRequest[] } {
  const requests: ModelRequest[] = [];
  return {
    ref: "platform/scripted",
    provider: "test",
    modelName: "scripted",
    contextWindowTokens: null,
    requests,
    async *stream(request) {
      requests.push(request);
      const turn = turns[request.messages.filter((message) => message.role === "assistant").length];
      if (!turn) throw new Error("the script has no further turn");
      yield* turn(request);
    },
  };
}

const usage = { inputTokens: 1, outputTokens: 1 };

/** A turn that says the pieces and stops. */
export const says =
  (...pieces: string[]): Turn =>
  () => [...pieces.map((delta): ModelPart => ({ type: "text", delta })), { type: "finish", reason: "stop", usage }];

/** A turn that says something and asks for tools: `[id, tool, input]` each. */
export const calls =
  (text: string, ...wanted: [string, string, Json][]): Turn =>
  () => [
    ...(text ? [{ type: "text", delta: text } as const] : []),
    ...wanted.map(
      ([toolCallId, toolName, input]): ModelPart => ({
        type: "tool-call",
        call: { type: "tool-call", toolCallId, toolName, input },
      }),
    ),
    { type: "finish", reason: "tool-calls", usage },
  ];
