import type { Message, MessageContent } from "#domain/session/values";
import { Fault } from "#kernel/fault";
import type { JsonObject } from "#kernel/json";

/** Longest stored form of one message, in bytes: an object's row holds at most 2 MB. */
export const MAX_MESSAGE_BYTES = 1_500_000;
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

/** A caller's metadata without reserved keys; null when nothing is left. */
export function callerMetadata(metadata: JsonObject | null): JsonObject | null {
  const kept = Object.entries(metadata ?? {}).filter(([key]) => !RESERVED_KEYS.has(key));
  return kept.length > 0 ? Object.fromEntries(kept) : null;
}

/**
 * What is stored of a caller's content: text is trimmed; parts must hold text that is not blank, or an attachment.
 * Throws `invalid` for empty content and `too_large` for content no row can hold.
 */
export function callerContent(content: MessageContent): MessageContent {
  const kept = typeof content === "string" ? content.trim() : content;
  if (!hasSubstance(kept)) throw new Fault("invalid", "content must not be empty", { field: "content" });
  const bytes = new TextEncoder().encode(JSON.stringify(kept)).length;
  if (bytes > MAX_MESSAGE_BYTES) {
    throw new Fault("too_large", `a message holds at most ${MAX_MESSAGE_BYTES} bytes`, { bytes });
  }
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
