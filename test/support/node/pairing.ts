import type { ModelRequest } from "#domain/model/ports";
import type { Part } from "#domain/session/values";

const ids = (content: string | readonly Part[], type: "tool-call" | "tool-result"): string[] =>
  typeof content === "string" ? [] : content.flatMap((part) => (part.type === type ? [part.toolCallId] : []));

/** What a strict provider would refuse in the messages, or null: each call needs its result in the very next message. */
export function pairingProblem(messages: ModelRequest["messages"]): string | null {
  for (const [i, { role, content }] of messages.entries()) {
    if (content.length === 0) return `message ${i} is empty`;
    const wanted = role === "assistant" ? ids(content, "tool-call") : [];
    const next = messages[i + 1];
    const given = next?.role === "tool" ? ids(next.content, "tool-result") : [];
    if (wanted.join() !== given.join()) return `message ${i} calls ${wanted} and the next answers ${given}`;
    if (role === "tool" && messages[i - 1]?.role !== "assistant") return `message ${i} answers no call`;
  }
  return null;
}
