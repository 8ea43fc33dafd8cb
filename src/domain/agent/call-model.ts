import { buildContext, contextBudget } from "#domain/agent/context";
import type { Attempt } from "#domain/agent/run-agent";
import { uniqueCallIds } from "#domain/agent/unique-call-ids";
import { ModelError, type ModelPart, type ModelRequest, type ToolSpec } from "#domain/model/ports";
import type { ModelCallResult, Outcome } from "#domain/session/journal";
import type { Message } from "#domain/session/values";
import { toolSpec } from "#domain/tool/tool";
import { untilAborted } from "#kernel/abort";

/** Longest answer that is taken, in characters of text, reasoning and tool inputs: its event must fit a stored row. */
const MAX_ANSWER_CHARS = 500_000;

type Failed = Extract<Outcome, { type: "failed" }>;

/** Makes one model call and stores its answer. Answers with the run's failure when the model failed. */
export async function callModel(attempt: Attempt): Promise<Failed | null> {
  const { agent, model, journal, now } = attempt;
  const history = journal.history();
  const request = requestOf(attempt, history);
  const { stepSeq } = journal.modelCallStarted({
    model: model.modelName,
    agentName: agent.name,
    system: request.system,
    request: {
      request: { model: model.modelName, canonicalModelRef: model.ref, provider: model.provider },
      runtime: {
        messageCount: request.messages.length,
        activeToolNames: request.tools.map((tool) => tool.name),
      },
    },
  });
  const startedAt = now();
  try {
    const answer = await collect(attempt, request);
    const toolCalls = uniqueCallIds(answer.toolCalls, history, `${journal.runId}_${stepSeq}`);
    journal.modelCallFinished({ ...answer, toolCalls });
    const details = { stepSeq, finishReason: answer.finishReason, durationMs: now() - startedAt, usage: answer.usage };
    journal.log("info", "model", "model call finished", { model: model.ref, toolCalls: toolCalls.length, ...details });
    return null;
  } catch (error) {
    attempt.signal.throwIfAborted();
    if (!(error instanceof ModelError)) throw error;
    journal.modelCallFailed({ message: error.message, status: error.status });
    return { type: "failed", code: "model_stream_failed", message: messageOf(error) };
  }
}

const messageOf = ({ message, status }: ModelError): string =>
  status === null ? message : `${message} (HTTP status ${status})`;

function requestOf({ agent, model, tools, journal, signal }: Attempt, history: readonly Message[]): ModelRequest {
  const specs = tools.filter((tool) => agent.tools.includes(tool.name)).map(toolSpec);
  const context = buildContext({
    system: agent.prompt,
    history,
    runId: journal.runId,
    budgetChars: contextBudget(model.contextWindowTokens) - sizeOf(specs),
  });
  return { ...context, tools: specs, signal };
}

const sizeOf = (specs: readonly ToolSpec[]): number => (specs.length > 0 ? JSON.stringify(specs).length : 0);

/** Streams the answer's text into the journal and gathers the rest. */
async function collect({ model, journal, signal }: Attempt, request: ModelRequest): Promise<ModelCallResult> {
  const answer: ModelCallResult = { text: "", reasoning: "", toolCalls: [], finishReason: "", usage: {} };
  let chars = 0;
  for await (const part of untilAborted(model.stream(request), signal)) {
    chars += charsOf(part);
    if (chars > MAX_ANSWER_CHARS) {
      throw new ModelError(`the model's answer is longer than ${MAX_ANSWER_CHARS} characters`, null);
    }
    if (part.type === "text") journal.delta(part.delta);
    add(answer, part);
  }
  if (answer.finishReason === "") throw new ModelError("the model's answer ended before it was complete", null);
  return answer;
}

function charsOf(part: ModelPart): number {
  if (part.type === "text" || part.type === "reasoning") return part.delta.length;
  if (part.type === "tool-call") return JSON.stringify(part.call.input).length;
  return part.type === "bad-tool-call" ? part.input.length : 0;
}

function add(answer: ModelCallResult, part: ModelPart): void {
  switch (part.type) {
    case "text":
      answer.text += part.delta;
      return;
    case "reasoning":
      answer.reasoning += part.delta;
      return;
    case "tool-call":
      answer.toolCalls.push(part.call);
      return;
    case "bad-tool-call": {
      // Kept as it came: the tool's schema refuses it when it is run, and the model gets to see its own mistake.
      const { toolCallId, toolName, input } = part;
      answer.toolCalls.push({ type: "tool-call", toolCallId, toolName, input });
      return;
    }
    case "finish":
      answer.finishReason = part.reason;
      answer.usage = part.usage;
  }
}
