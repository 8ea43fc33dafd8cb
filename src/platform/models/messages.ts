import type { ModelMessage } from "ai";
import type { ModelRequest } from "#domain/model/ports";
import type { MessageContent, Part } from "#domain/session/values";
import type { Json } from "#kernel/json";

type OfType<T extends Part["type"]> = Extract<Part, { type: T }>;

/** Messages in the AI SDK's form. A part that its role cannot hold is left out, and so is a message left empty. */
export function toModelMessages(messages: ModelRequest["messages"]): ModelMessage[] {
  return messages.flatMap((message): ModelMessage[] => {
    const parts = partsOf(message.content);
    switch (message.role) {
      case "system":
        return nonEmpty({ role: "system", content: textOf(parts) });
      case "user":
        return nonEmpty({ role: "user", content: parts.flatMap(userPart) });
      case "assistant":
        return nonEmpty({ role: "assistant", content: parts.flatMap(assistantPart) });
      default:
        return nonEmpty({ role: "tool", content: parts.filter((part) => part.type === "tool-result") });
    }
  });
}

const nonEmpty = (message: ModelMessage): ModelMessage[] => (message.content.length > 0 ? [message] : []);

const partsOf = (content: MessageContent): readonly Part[] =>
  typeof content === "string" ? (content === "" ? [] : [{ type: "text", text: content }]) : content;

const textOf = (parts: readonly Part[]): string =>
  parts.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n");

type UserPart = OfType<"text"> | OfType<"file">;

function userPart(part: Part): UserPart[] {
  if (part.type === "text") return part.text === "" ? [] : [part];
  if (part.type === "image") return [{ type: "file", data: part.image, mediaType: part.mediaType ?? "image" }];
  return part.type === "file" ? [part] : [];
}

type AssistantPart = UserPart | OfType<"reasoning"> | OfType<"tool-call">;

/** Reasoning is passed on; adapters of providers that take it back only when signed leave it out. */
function assistantPart(part: Part): AssistantPart[] {
  if (part.type === "text" || part.type === "reasoning") return part.text === "" ? [] : [part];
  if (part.type === "tool-call") return [{ ...part, input: asObject(part.input) }];
  return part.type === "file" ? [part] : [];
}

/** Providers demand an object as a call's input; what a model sent malformed is shown to it under a name. */
const asObject = (input: Json): Json =>
  typeof input === "object" && input !== null && !Array.isArray(input) ? input : { malformed_input: input };
