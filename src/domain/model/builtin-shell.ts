import { SHELL_REF } from "#domain/model/config";
import type { Model, ModelPart, ModelRequest } from "#domain/model/ports";
import { type ShellScript, shellScript } from "#domain/model/shell-script";
import type { MessageContent, Part, ToolOutput } from "#domain/session/values";
import { exitCodeOf } from "#domain/tool/bash";
import { cutMiddle } from "#domain/tool/text";

const TOOL = "Bash";
const PIECE_CHARS = 24;
const MAX_SHOWN_CHARS = 4_000;

const HOW_TO_CONFIGURE =
  "I am the built-in shell rule, not a language model. I run commands you send in a fenced sh block or on lines that " +
  "start with `$ `. To talk to a real model, set MODELS and its key as the README says.";
const NEEDS_BUILDER =
  'I found commands in your message, but this agent has no Bash tool. Start a session with the agent "builder" to run ' +
  "them. (I am the built-in shell rule, not a language model; set MODELS to use a real one.)";

/**
 * A deterministic rule in place of a model: the commands of the newest user message become Bash calls, one after
 * another, or all at once when the message says "in parallel"; then it answers with their exit codes and output.
 */
export const builtinShell: Model = {
  ref: SHELL_REF,
  provider: "builtin",
  modelName: "shell",
  contextWindowTokens: null,
  async *stream(request: ModelRequest): AsyncGenerator<ModelPart> {
    request.signal.throwIfAborted();
    const turn = request.messages.slice(request.messages.findLastIndex((message) => message.role === "user"));
    const script = shellScript(textOf(turn[0]?.content ?? ""));
    const outputs = turn.slice(1).flatMap((message) => (message.role === "tool" ? resultsOf(message.content) : []));
    const calls = nextCalls(script, outputs.length, request);
    for (const call of calls) yield { type: "tool-call", call };
    if (calls.length === 0) yield* pieces(answer(script, outputs, request), request.signal);
    yield { type: "finish", reason: calls.length > 0 ? "tool-calls" : "stop", usage: {} };
  },
};

function nextCalls({ commands, parallel }: ShellScript, done: number, { tools, messages }: ModelRequest) {
  if (!tools.some((tool) => tool.name === TOOL)) return [];
  // The length of the conversation makes the ids of one session differ, and a repeated call get the same ids again.
  return commands.slice(done, parallel ? undefined : done + 1).map((command, i) => ({
    type: "tool-call" as const,
    toolCallId: `shell_${messages.length}_${done + i + 1}`,
    toolName: TOOL,
    input: { command },
  }));
}

function answer({ commands }: ShellScript, outputs: readonly ToolOutput[], { tools }: ModelRequest): string {
  if (commands.length === 0) return HOW_TO_CONFIGURE;
  if (!tools.some((tool) => tool.name === TOOL)) return NEEDS_BUILDER;
  return commands.map((command, i) => report(command, outputs[i])).join("\n\n");
}

function report(command: string, output: ToolOutput | undefined): string {
  const text = outputText(output);
  const code = exitCodeOf(text);
  const verdict = code === null ? "did not finish" : `exit code ${code}`;
  const [first = "", ...more] = command.split("\n");
  const shown = cutMiddle(text.replace(/\n?\[exit code [^\]]*\]$/, ""), MAX_SHOWN_CHARS).trimEnd();
  const title = `\`${first}${more.length > 0 ? " ..." : ""}\`: ${verdict}`;
  return shown === "" ? title : `${title}\n${fenced(shown)}`;
}

/** A code block whose fence is longer than any run of back quotes in the text. */
function fenced(text: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}

async function* pieces(text: string, signal: AbortSignal): AsyncGenerator<ModelPart> {
  const points = [...text];
  for (let at = 0; at < points.length; at += PIECE_CHARS) {
    signal.throwIfAborted();
    yield { type: "text", delta: points.slice(at, at + PIECE_CHARS).join("") };
  }
}

function outputText(output: ToolOutput | undefined): string {
  if (!output) return "";
  return output.type === "text" || output.type === "error-text" ? output.value : JSON.stringify(output.value);
}

const partsOf = (content: MessageContent): readonly Part[] => (typeof content === "string" ? [] : content);
const resultsOf = (content: MessageContent): ToolOutput[] =>
  partsOf(content).flatMap((part) => (part.type === "tool-result" ? [part.output] : []));
const textOf = (content: MessageContent): string =>
  typeof content === "string"
    ? content
    : content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n");
