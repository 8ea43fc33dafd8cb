import type { ToolCall, ToolResult, ToolSource } from "#domain/session/journal";
import type { QueueAction, RunEnd } from "#domain/session/machine";
import type { Message, MessageContent, QueueItem, Run, ToolOutput } from "#domain/session/values";
import type { Json, JsonObject } from "#kernel/json";
import { iso } from "#kernel/time";
import type { SessionEventType } from "#protocol/session-feed";

/** An event before it has its number. Payloads are those of the runtime contract, section 19. */
export type NewEvent = { type: SessionEventType; runId: string | null; data: JsonObject };

type RunRef = Pick<Run, "id" | "sessionId">;
export type ToolAbout = { source: ToolSource; retry: "safe" | "manual" };

/** Queue items a `queue.updated` event lists at most, or a long queue would fill the log; its route lists all. */
export const MAX_LISTED_ITEMS = 50;

const event = (type: SessionEventType, runId: string, data: JsonObject): NewEvent => ({ type, runId, data });
const ids = (run: RunRef) => ({ runId: run.id, sessionId: run.sessionId });

export const runQueued = (run: RunRef) => event("run.queued", run.id, { ...ids(run), status: "queued" });
export const runStarted = (run: RunRef) => event("run.started", run.id, { ...ids(run), status: "running" });

export function runEnded(run: RunRef, { status, error, lostAttempts }: RunEnd): NewEvent {
  if (status === "completed" || status === "cancelled") return event(`run.${status}`, run.id, { ...ids(run), status });
  return event("run.failed", run.id, {
    ...ids(run),
    status,
    ...(error && { errorCode: error.code, errorMessage: error.message }),
    ...(lostAttempts > 0 && {
      recoveredBy: RECOVERED_BY,
      recoveryAttempt: lostAttempts,
      recoveryState: "failed",
      recoveryReason: RECOVERY_REASON,
    }),
  });
}

const RECOVERED_BY = "session_object";
const RECOVERY_REASON = "attempts_without_progress";

/** Metadata of a run that was given up (runtime contract, section 11). */
export const recoveryMetadata = (attempts: number, now: number): JsonObject => ({
  recoveryAttempts: attempts,
  recoveredBy: RECOVERED_BY,
  recoveredAt: iso(now),
  recovery: {
    state: "failed",
    strategy: "fail",
    attempts,
    maxAttempts: attempts,
    reason: RECOVERY_REASON,
    deadLetter: { at: iso(now), reason: RECOVERY_REASON },
  },
});

export function queueUpdated(runId: string, action: QueueAction, position: number, items: QueueItem[]): NewEvent {
  const listed = items.map((item) => ({ ...item, createdAt: iso(item.createdAt) }));
  return event("queue.updated", runId, { runId, action, items: listed, queuedPosition: position });
}

export const messageDelta = (runId: string, messageId: string, delta: string, metadata: JsonObject | null) =>
  event("message.delta", runId, { runId, messageId, delta, ...(metadata && { metadata }) });

/** Tells readers to replace what they saw of a message, because its model call is made again. */
export const messageReset = (runId: string, messageId: string, metadata: JsonObject | null) =>
  event("message.delta", runId, { runId, messageId, content: "", ...(metadata && { metadata }) });

export function messageCompleted(runId: string, message: Message, more: JsonObject = {}): NewEvent {
  const { id: messageId, content, metadata } = message;
  return event("message.completed", runId, {
    runId,
    messageId,
    content: content as Json,
    ...(metadata && { metadata }),
    ...more,
  });
}

export const toolMessageFields = (call: ToolCall, failed: boolean): JsonObject => ({
  toolName: call.toolName,
  toolCallId: call.toolCallId,
  ...(failed && { resultType: "error" }),
});

const toolRef = (run: RunRef, call: ToolCall, about: ToolAbout): JsonObject => ({
  ...ids(run),
  toolCallId: call.toolCallId,
  toolName: call.toolName,
  sourceType: about.source,
  retryPolicy: about.retry,
});

export const toolStarted = (run: RunRef, call: ToolCall, about: ToolAbout, metadata: JsonObject) =>
  event("tool.started", run.id, { ...toolRef(run, call, about), input: call.input, metadata });

export function toolEnded(
  run: RunRef,
  call: ToolCall,
  result: ToolResult,
  about: ToolAbout,
  metadata: JsonObject,
): NewEvent {
  const { failure, durationMs } = result;
  if (failure) {
    const error = { errorCode: failure.code, errorMessage: failure.message };
    return event("tool.failed", run.id, { ...toolRef(run, call, about), ...error, durationMs, metadata });
  }
  const output = outputValue(result.output);
  return event("tool.completed", run.id, { ...toolRef(run, call, about), output, durationMs, metadata });
}

export const outputValue = (output: ToolOutput): Json => output.value;

export function engineLog(
  run: RunRef & Pick<Run, "workspaceId">,
  entry: { level: string; category: string; message: string; details?: JsonObject },
  now: number,
): NewEvent {
  return event("engine.log", run.id, {
    level: entry.level,
    category: entry.category,
    message: entry.message,
    ...(entry.details && { details: entry.details }),
    context: { workspaceId: run.workspaceId, sessionId: run.sessionId, runId: run.id },
    source: "server",
    timestamp: iso(now),
  });
}

/** Content of a finished model call: reasoning and text as parts. */
export function answerContent(text: string, reasoning: string): MessageContent {
  const parts: MessageContent = reasoning ? [{ type: "reasoning", text: reasoning }] : [];
  return text || !reasoning ? [...parts, { type: "text", text }] : parts;
}
