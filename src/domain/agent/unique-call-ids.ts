import type { ToolCall } from "#domain/session/journal";
import type { Message } from "#domain/session/values";

/** Ids a sandbox takes as part of an effect key and providers take back. */
const USABLE = /^[\w.:-]{1,100}$/;

/**
 * The calls with ids that no other call of the session has. Providers pick the ids, and some begin anew with every
 * answer; results and effects are found by id (R3), so a repeated or unusable one is replaced by `PREFIX_NUMBER`.
 */
export function uniqueCallIds(calls: readonly ToolCall[], history: readonly Message[], prefix: string): ToolCall[] {
  if (calls.length === 0) return [];
  const used = new Set(history.flatMap(({ content }) => (typeof content === "string" ? [] : content.flatMap(callId))));
  return calls.map((call, i) => {
    const keep = USABLE.test(call.toolCallId) && !used.has(call.toolCallId);
    const toolCallId = keep ? call.toolCallId : `${prefix}_${i + 1}`;
    used.add(toolCallId);
    return { ...call, toolCallId };
  });
}

const callId = (part: { type: string; toolCallId?: string }): string[] =>
  part.type === "tool-call" && part.toolCallId !== undefined ? [part.toolCallId] : [];
