import type { ToolCall } from "#domain/session/journal";
import type { Message, MessageContent, Part, ToolOutput } from "#domain/session/values";

type ModelMessage = Pick<Message, "role" | "content">;
type ToolResultPart = Extract<Part, { type: "tool-result" }>;

/** One exchange that is kept or left out as a whole: a user message, or an answer with the results of its calls. */
type Round = { messages: ModelMessage[]; startsTurn: boolean; chars: number };

const CHARS_PER_TOKEN = 4;
/** Part of the window the context may fill; the rest is for the answer and for text with more tokens per character. */
const SHARE_OF_WINDOW = 0.75;
const DEFAULT_BUDGET_CHARS = 400_000;
/** What a picture or file counts, whatever its size in characters: providers bill them by their content. */
const ATTACHMENT_CHARS = 6_000;

const UNKNOWN_OUTCOME: ToolOutput = {
  type: "error-text",
  value: "Tool result unavailable: the run ended before the tool call did, so its outcome is unknown.",
};
const SHORTENED = "Earlier messages of this conversation were left out because it is too long.";

/** Characters of context a model gets, by its window of tokens. */
export const contextBudget = (contextWindowTokens: number | null): number =>
  contextWindowTokens === null
    ? DEFAULT_BUDGET_CHARS
    : Math.floor(contextWindowTokens * CHARS_PER_TOKEN * SHARE_OF_WINDOW);

/**
 * What a model is shown of a session: the system prompt, and the history in an order every provider takes. The calls
 * of one answer stand in one message and their results directly behind it; a call that never got a result is closed with an
 * error. When all of it is over `budgetChars`, the oldest turns are left out, then the oldest answers of the newest
 * turn; the message that started the turn and its last answer always stay.
 */
export function buildContext(input: {
  system: string;
  history: readonly Message[];
  runId: string;
  budgetChars: number;
}): { system: string; messages: ModelMessage[] } {
  const spoken = withoutCutAnswer(input.history, input.runId);
  const system = [input.system, ...systemTexts(spoken)].filter(Boolean).join("\n\n");
  const rounds = toRounds(spoken, input.runId);
  const kept = keepNewest(rounds, input.budgetChars - system.length);
  return {
    system: kept.length < rounds.length ? `${system}\n\n${SHORTENED}` : system,
    messages: kept.flatMap((round) => round.messages),
  };
}

/** Text that a model call of this run streamed before it was cut: the call is made again, so nobody sees it twice. */
function withoutCutAnswer(history: readonly Message[], runId: string): readonly Message[] {
  const end = history.findLastIndex(
    (message) => message.role !== "assistant" || message.runId !== runId || hasCall(message),
  );
  return history.slice(0, end + 1);
}

const partsOf = (content: MessageContent): readonly Part[] =>
  typeof content === "string" ? (content === "" ? [] : [{ type: "text", text: content }]) : content;

const isCall = (part: Part): part is ToolCall => part.type === "tool-call";
const hasCall = (message: Message): boolean => partsOf(message.content).some(isCall);

const systemTexts = (history: readonly Message[]): string[] =>
  history.flatMap(({ role, content }) =>
    role === "system" ? partsOf(content).flatMap((part) => (part.type === "text" ? [part.text] : [])) : [],
  );

function toRounds(history: readonly Message[], currentRun: string): Round[] {
  const results = new Map<string, ToolResultPart>();
  for (const { content } of history) {
    for (const part of partsOf(content)) if (part.type === "tool-result") results.set(part.toolCallId, part);
  }
  const rounds: Round[] = [];
  let answer: Part[] = [];
  const closeAnswer = () => {
    if (answer.length > 0) rounds.push(answerRound(answer, results));
    answer = [];
  };
  for (const { role, content, runId } of history) {
    if (role === "assistant") {
      answer.push(...partsOf(content).filter(({ type }) => spokenIn(runId === currentRun, type)));
      continue;
    }
    closeAnswer();
    if (role === "user") rounds.push(toRound([{ role, content }], true));
  }
  closeAnswer();
  return rounds;
}

/** Some providers want their reasoning back while a turn goes on; later it would only fill the window. */
const spokenIn = (isCurrentRun: boolean, type: Part["type"]): boolean =>
  type !== "tool-result" && (isCurrentRun || type !== "reasoning");

function answerRound(content: Part[], results: ReadonlyMap<string, ToolResultPart>): Round {
  const calls = content.filter(isCall);
  const answers = calls.map(
    ({ toolCallId, toolName }) =>
      results.get(toolCallId) ?? { type: "tool-result" as const, toolCallId, toolName, output: UNKNOWN_OUTCOME },
  );
  const tool: ModelMessage[] = calls.length > 0 ? [{ role: "tool", content: answers }] : [];
  return toRound([{ role: "assistant", content }, ...tool], false);
}

function toRound(messages: ModelMessage[], startsTurn: boolean): Round {
  const chars = messages.flatMap(({ content }) => partsOf(content)).reduce((sum, part) => sum + charsOf(part), 0);
  return { messages, startsTurn, chars };
}

function charsOf(part: Part): number {
  if (part.type === "text" || part.type === "reasoning") return part.text.length;
  if (part.type === "image" || part.type === "file") return ATTACHMENT_CHARS;
  return JSON.stringify(part).length;
}

function keepNewest(rounds: readonly Round[], budget: number): readonly Round[] {
  const turns = rounds.flatMap((round, i) => (round.startsTurn || i === 0 ? [i] : []));
  for (const start of turns) {
    const kept = rounds.slice(start);
    if (size(kept) <= budget) return kept;
  }
  return shortenTurn(rounds.slice(turns.at(-1) ?? 0), budget);
}

/** The newest turn without its oldest answers. */
function shortenTurn([opening, ...answers]: readonly Round[], budget: number): readonly Round[] {
  if (!opening) return [];
  let rest = answers;
  while (rest.length > 1 && size([opening, ...rest]) > budget) rest = rest.slice(1);
  return [opening, ...rest];
}

const size = (rounds: readonly Round[]): number => rounds.reduce((sum, round) => sum + round.chars, 0);
