import type { Message, MessageContent } from "#domain/session/values";
import { Fault } from "#kernel/fault";
import type { Json, JsonObject } from "#kernel/json";

/** Longest content of one message, as JSON in bytes: what a request for it may hold (runtime contract, section 5). */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** Longest metadata a caller may give a message, as JSON in bytes; it is stored in the message's row. */
const MAX_METADATA_BYTES = 256 * 1024;
/** Characters of a message shown in a queue listing. */
const QUEUE_PREVIEW_CHARS = 2_000;

/** Metadata keys the engine writes itself; a caller's values for them are dropped (runtime contract, section 10). */
const RESERVED_KEYS = new Set([
  "runtimeKind",
  "origin",
  "mode",
  "source",
  "synthetic",
  "taskNotification",
  "pendingTaskNotificationId",
  "delegatedUpdate",
  "delegatedChildRunId",
  "delegatedChildSessionId",
  "delegatedTaskId",
  "delegatedToolUseId",
  "outputRef",
  "outputFile",
]);

/** A caller's metadata without reserved keys; null when nothing is left. Throws `too_large` when a lot is. */
export function callerMetadata(metadata: JsonObject | null): JsonObject | null {
  const kept = Object.entries(metadata ?? {}).filter(([key]) => !RESERVED_KEYS.has(key));
  if (kept.length === 0) return null;
  const some = Object.fromEntries(kept);
  demandSize("the metadata of a message", some, MAX_METADATA_BYTES);
  return some;
}

function demandSize(what: string, value: Json, limit: number): void {
  const bytes = new TextEncoder().encode(JSON.stringify(value)).length;
  if (bytes > limit) throw new Fault("too_large", `${what} holds at most ${limit} bytes as JSON`, { bytes, limit });
}

/**
 * What is stored of a caller's content: text is trimmed; parts must hold text that is not blank, or an attachment.
 * Throws `invalid` for empty content and `too_large` for content over `MAX_MESSAGE_BYTES`.
 */
export function callerContent(content: MessageContent): MessageContent {
  const kept = typeof content === "string" ? content.trim() : content;
  if (!hasSubstance(kept)) throw new Fault("invalid", "content must not be empty", { field: "content" });
  demandSize("the content of a message", kept as Json, MAX_MESSAGE_BYTES);
  return kept;
}

function hasSubstance(content: MessageContent): boolean {
  if (typeof content === "string") return content.length > 0;
  return content.some((part) => (part.type === "text" ? part.text.trim() !== "" : part.type !== "reasoning"));
}

/** One line of text for a queue listing; attachments are named, not shown. */
export function queuePreview(content: Message["content"]): string {
  const text =
    typeof content === "string"
      ? content
      : content
          .map((part) => {
            if (part.type === "text") return part.text;
            if (part.type === "image") return "[image]";
            return part.type === "file" ? `[file${part.filename ? ` ${part.filename}` : ""}]` : "";
          })
          .filter((piece) => piece !== "")
          .join("\n");
  return text.length > QUEUE_PREVIEW_CHARS ? `${text.slice(0, QUEUE_PREVIEW_CHARS)}…` : text;
}
