import type { Attempt } from "#domain/agent/run-agent";
import { effectKey, type OpenCall, type ToolCall, type ToolResult } from "#domain/session/journal";
import { type Tool, ToolFailure } from "#domain/tool/tool";
import { orAborted } from "#kernel/abort";
import { Fault } from "#kernel/fault";
import { SECOND } from "#kernel/time";

/** A tool gets this long after its time-out to end by itself, so that it can still say what it has. */
const TIMEOUT_GRACE_MS = SECOND;
const KILL_WAIT_MS = 5 * SECOND;
/** Longest delay a timer takes; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Runs the open calls of an answer and stores a result for each; together unless the agent wants one at a time. */
export async function runToolCalls(attempt: Attempt, calls: readonly OpenCall[]): Promise<void> {
  if (!attempt.agent.policy.parallelToolCalls) {
    for (const call of calls) await runToolCall(attempt, call);
    return;
  }
  const stopOthers = (error: unknown) => {
    attempt.stop(error);
    throw error;
  };
  const settled = await Promise.allSettled(calls.map((call) => runToolCall(attempt, call).catch(stopOthers)));
  const failed = settled.find((result) => result.status === "rejected");
  // Whoever failed first stopped the others, so the signal's reason is the cause and theirs is an echo of it.
  if (failed) throw attempt.signal.aborted ? attempt.signal.reason : failed.reason;
}

async function runToolCall(attempt: Attempt, { call, begun }: OpenCall): Promise<void> {
  const { journal, now } = attempt;
  attempt.signal.throwIfAborted();
  const ready = prepare(attempt, call);
  const about = { source: "native", retry: ready.retry } as const;
  if (begun && !("refusal" in ready)) {
    await killQuietly(attempt, effectKey(journal.runId, call.toolCallId));
    attempt.signal.throwIfAborted();
    if (ready.retry === "manual") return journal.toolFinished(call, INTERRUPTED, about);
  }
  journal.toolStarted(call, about);
  if ("refusal" in ready) return journal.toolFinished(call, failure(ready.refusal, 0), about);
  const startedAt = now();
  const result = await execute(attempt, ready, effectKey(journal.runId, call.toolCallId)).then(
    (output): ToolResult => ({ output, durationMs: now() - startedAt, failure: null }),
    (error: unknown) => {
      attempt.signal.throwIfAborted();
      return failure(toFailure(attempt, call, error), now() - startedAt);
    },
  );
  journal.toolFinished(call, result, about);
}

type Ready = { retry: "safe" | "manual"; tool: Tool; input: never };
type Refused = { retry: "safe" | "manual"; refusal: ToolFailure };

/** Finds the tool and checks the call's input; what comes out depends on the call alone, so a repeat decides alike. */
function prepare({ tools, agent }: Attempt, call: ToolCall): Ready | Refused {
  const tool = tools.find(({ name }) => name === call.toolName);
  if (!tool) return { retry: "manual", refusal: new ToolFailure(`there is no tool "${call.toolName}"`) };
  if (!agent.tools.includes(tool.name)) {
    const message = `tool "${tool.name}" is not available for agent "${agent.name}"`;
    return { retry: tool.retry, refusal: new ToolFailure(message, "tool_not_available_for_agent") };
  }
  if (typeof call.input === "string") {
    return { retry: tool.retry, refusal: new ToolFailure(`the input of "${tool.name}" is not a valid JSON object`) };
  }
  const parsed = tool.input.safeParse(call.input);
  if (parsed.success) return { retry: tool.retry, tool, input: parsed.data as never };
  const issues = parsed.error.issues.map((issue) => `${issue.path.map(String).join(".") || "input"}: ${issue.message}`);
  return {
    retry: tool.retry,
    refusal: new ToolFailure(`the input of "${tool.name}" is not valid: ${issues.join("; ")}`),
  };
}

/** Runs the tool until it ends, its time is up or the attempt stops; in the latter cases its processes are killed. */
async function execute(attempt: Attempt, { tool, input }: Ready, key: string) {
  const { toolTimeoutSeconds } = attempt.agent.policy;
  const timeoutMs = toolTimeoutSeconds === null ? null : toolTimeoutSeconds * SECOND;
  const timer = new AbortController();
  const timeUp = () => timer.abort(new ToolFailure(`the tool was stopped after ${timeoutMs} ms`, "tool_timed_out"));
  const handle =
    timeoutMs === null ? undefined : setTimeout(timeUp, Math.min(timeoutMs + TIMEOUT_GRACE_MS, MAX_TIMER_MS));
  const signal = AbortSignal.any([attempt.signal, timer.signal]);
  try {
    return await orAborted(tool.run(input, { link: attempt.link, signal, key, timeoutMs }), signal);
  } catch (error) {
    // A newer attempt uses the same key: one that was fenced off must not kill what that one runs.
    if (timer.signal.aborted || attempt.cancelled()) await killQuietly(attempt, key);
    throw error;
  } finally {
    if (handle !== undefined) clearTimeout(handle);
  }
}

/** Kills what runs under the key and waits for its end, but never longer than the sandbox is worth waiting for. */
async function killQuietly({ link, log }: Pick<Attempt, "link" | "log">, key: string): Promise<void> {
  try {
    await orAborted(link.kill(key), AbortSignal.timeout(KILL_WAIT_MS));
  } catch (error) {
    log?.warn("the processes of a tool call could not be killed", { key, error });
  }
}

function toFailure({ log }: Attempt, call: ToolCall, error: unknown): ToolFailure {
  if (error instanceof ToolFailure) return error;
  if (error instanceof Fault) return new ToolFailure(error.message);
  log?.error("a tool failed unexpectedly", { toolName: call.toolName, toolCallId: call.toolCallId, error });
  return new ToolFailure("the tool failed unexpectedly");
}

const failure = ({ message, code }: ToolFailure, durationMs: number): ToolResult => ({
  output: { type: "error-text", value: message },
  durationMs,
  failure: { code, message },
});

const INTERRUPTED: ToolResult = failure(
  new ToolFailure(
    "The tool call was interrupted by a restart. Its outcome is unknown: check what it did before you repeat it.",
    "tool_interrupted",
  ),
  0,
);
