import type { Json, JsonObject } from "#kernel/json";

export const RUN_STATUSES = [
  "queued",
  "running",
  "waiting_tool",
  "completed",
  "failed",
  "cancelled",
  "timed_out",
] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];
export type TerminalStatus = Extract<RunStatus, "completed" | "failed" | "cancelled" | "timed_out">;

export const isTerminal = (status: RunStatus): status is TerminalStatus =>
  status !== "queued" && status !== "running" && status !== "waiting_tool";

export const STEP_TYPES = ["model_call", "tool_call", "agent_switch", "agent_delegate", "hook", "system"] as const;
export type StepType = (typeof STEP_TYPES)[number];
export const STEP_STATUSES = ["queued", "running", "completed", "failed", "cancelled"] as const;
export type StepStatus = (typeof STEP_STATUSES)[number];

/** How a message that meets a busy session is treated (runtime contract, section 12). */
export const BUSY_BEHAVIORS = ["queue", "interrupt"] as const;
export type BusyBehavior = (typeof BUSY_BEHAVIORS)[number];

/** Longest queue of one session; the next message is refused with `queue_full`. */
export const MAX_PENDING_RUNS = 1_000;

/** A session as its object knows it. Times are milliseconds since the epoch. */
export type Session = {
  id: string;
  teamId: string;
  workspaceId: string;
  sandboxId: string;
  parentSessionId: string | null;
  subjectRef: string;
  agentName: string | null;
  activeAgentName: string;
  modelRef: string | null;
  title: string | null;
  status: "active" | "archived" | "closed";
  createdAt: number;
  updatedAt: number;
  lastRunAt: number | null;
};

export type ToolOutput =
  | { type: "text"; value: string }
  | { type: "json"; value: Json }
  | { type: "error-text"; value: string }
  | { type: "error-json"; value: Json };

export type Part =
  | { type: "text"; text: string }
  | { type: "image"; image: string; mediaType?: string }
  | { type: "file"; data: string; mediaType: string; filename?: string }
  | { type: "reasoning"; text: string }
  | { type: "tool-call"; toolCallId: string; toolName: string; input: Json }
  | { type: "tool-result"; toolCallId: string; toolName: string; output: ToolOutput };

export type MessageContent = string | Part[];

export type Message = {
  id: string;
  sessionId: string;
  runId: string | null;
  role: "system" | "user" | "assistant" | "tool";
  origin: "user" | "engine" | "hook" | "tool" | "system";
  mode: "prompt" | "task-notification" | null;
  content: MessageContent;
  metadata: JsonObject | null;
  createdAt: number;
};

export type Run = {
  id: string;
  sessionId: string;
  workspaceId: string;
  parentRunId: string | null;
  initiatorRef: string;
  triggerType: "message" | "manual_action" | "api_action" | "hook" | "system";
  triggerRef: string | null;
  agentName: string;
  effectiveAgentName: string;
  switchCount: number;
  status: RunStatus;
  cancelRequestedAt: number | null;
  startedAt: number | null;
  heartbeatAt: number | null;
  endedAt: number | null;
  createdAt: number;
  errorCode: string | null;
  errorMessage: string | null;
  metadata: JsonObject | null;
};

export type RunStep = {
  id: string;
  runId: string;
  seq: number;
  stepType: StepType;
  name: string | null;
  agentName: string | null;
  status: StepStatus;
  input: JsonObject | null;
  output: JsonObject | null;
  startedAt: number | null;
  endedAt: number | null;
};

export type QueueItem = { runId: string; messageId: string; content: string; createdAt: number; position: number };
