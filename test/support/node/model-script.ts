/** One thing a scripted answer does, in order. */
export type ScriptStep =
  | { text: string }
  | { reasoning: string }
  /** Many small pieces of text, all at once or so many per second. */
  | { tokens: number; perSecond?: number }
  /** A tool call. Text as `input` is sent as the arguments as it stands, so it may be malformed. */
  | { call: { name: string; input: unknown; id?: string } }
  /** Waits until the gate of this name is released. */
  | { wait: string }
  /** Stops in the middle: resets the connection, or ends the body as if it were complete. */
  | { cut: "reset" | "end" };

export type ScriptUsage = { input: number; output: number; cached?: number; reasoning?: number };

/** One answer of the model, or an HTTP error in its place. */
export type ScriptTurn =
  | { steps: ScriptStep[]; usage?: ScriptUsage; finish?: string }
  | { error: { status: number; message: string; retryAfterSeconds?: number } };

/**
 * The answers to one user message, by how many the conversation already holds, so a call that is made again gets the
 * same answer. A list in place of a turn is one per attempt at the same request; the last one holds for all further.
 */
export type Script = (ScriptTurn | ScriptTurn[])[];

export const say = (...pieces: string[]): ScriptTurn => ({ steps: pieces.map((text) => ({ text })) });
export const call = (name: string, input: unknown, id?: string): ScriptStep => ({
  call: { name, input, ...(id !== undefined && { id }) },
});
export const turn = (...steps: ScriptStep[]): ScriptTurn => ({ steps });
export const fail = (status: number, message: string, retryAfterSeconds?: number): ScriptTurn => ({
  error: { status, message, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) },
});

export type ChatMessage = {
  role: string;
  content?: unknown;
  tool_calls?: { id: string; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
};
export type ChatRequest = { model?: string; stream?: boolean; messages: ChatMessage[]; tools?: unknown[] };

/** Text of a chat message, whose content may be a list of parts. */
function chatText({ content }: ChatMessage): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part: { text?: unknown }) => (typeof part.text === "string" ? part.text : "")).join("\n");
}

const MARKER = /\bscript:([\w-]+)/;

/** The script that the last user message names with `script:NAME`, and how many answers follow that message. */
export function scriptOf({ messages }: ChatRequest): { name: string | undefined; turn: number } {
  const at = messages.findLastIndex((message) => message.role === "user");
  const user = messages[at];
  const turn = messages.slice(at + 1).filter((message) => message.role === "assistant").length;
  return { name: user && MARKER.exec(chatText(user))?.[1], turn };
}

/** Why a strict provider refuses the messages, or null. */
export function strictProblem(messages: readonly ChatMessage[]): string | null {
  let open = new Set<string>();
  for (const [i, message] of messages.entries()) {
    if (message.role === "tool") {
      if (!open.delete(message.tool_call_id ?? "")) return `messages[${i}] answers no tool call before it`;
      continue;
    }
    if (open.size > 0) return `tool calls without a result before messages[${i}]: ${[...open].join(", ")}`;
    const calls = message.tool_calls ?? [];
    if (message.role === "assistant" && calls.length === 0 && chatText(message) === "")
      return `messages[${i}] is empty`;
    open = new Set(calls.map(({ id }) => id));
    if (open.size < calls.length) return `messages[${i}] uses a tool call id twice`;
    if (!calls.every((wanted) => isObject(wanted.function.arguments)))
      return `messages[${i}] has arguments that are no object`;
  }
  return open.size > 0 ? `tool calls without a result at the end: ${[...open].join(", ")}` : null;
}

function isObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
