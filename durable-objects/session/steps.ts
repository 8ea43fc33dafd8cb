import type { RunStep, StepStatus, StepType } from "#domain/session/values";
import { partId } from "#kernel/id";
import type { JsonObject } from "#kernel/json";
import type { OffsetPage } from "#kernel/page";
import { type Cache, partNumber, type SessionStore } from "#objects/session/store";

type Row = {
  n: number;
  run_id: string;
  seq: number;
  step_type: string;
  name: string | null;
  agent_name: string | null;
  status: string;
  input: string | null;
  output: string | null;
  started_at: number | null;
  ended_at: number | null;
  message_n: number | null;
  tool_call_id: string | null;
};

/** A step with what only the object knows: the message a model call writes, and the tool call it carries out. */
export type StoredStep = RunStep & { messageId: string | null; toolCallId: string | null };

export type NewStep = {
  runId: string;
  stepType: StepType;
  name: string;
  agentName: string | null;
  status: StepStatus;
  input?: JsonObject;
  output?: JsonObject;
  messageId?: string;
  toolCallId?: string;
  /** Number of the system prompt of a model call. */
  prompt?: number;
};

/** Longest stored input or output of a step, in characters; longer ones are replaced by a note. */
const MAX_STEP_CHARS = 500_000;

/** Steps of all runs of a session, numbered from 1 in each run. */
export class StepStore implements Cache {
  readonly #store: SessionStore;
  #next = 1;

  constructor(store: SessionStore) {
    this.#store = store;
    store.attach(this);
  }

  reload(): void {
    const row = this.#store.sql.exec<{ last: number | null }>("SELECT MAX(n) AS last FROM steps").one();
    this.#next = (row.last ?? 0) + 1;
  }

  insert(step: NewStep, now: number): StoredStep {
    const n = this.#next++;
    const endedAt = step.status === "running" ? null : now;
    const { seq } = this.#store.sql
      .exec<{ seq: number }>(
        `INSERT INTO steps (n, run_id, seq, step_type, name, agent_name, status, input, output, started_at, ended_at,
           message_n, tool_call_id, prompt)
         VALUES (?, ?, (SELECT COALESCE(MAX(seq), 0) + 1 FROM steps WHERE run_id = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         RETURNING seq`,
        n,
        step.runId,
        step.runId,
        step.stepType,
        step.name,
        step.agentName,
        step.status,
        step.input ? clipped(step.input) : null,
        step.output ? clipped(step.output) : null,
        now,
        endedAt,
        step.messageId ? partNumber(step.messageId) : null,
        step.toolCallId ?? null,
        step.prompt ?? null,
      )
      .one();
    const { input = null, output = null, messageId = null, toolCallId = null } = step;
    return { ...step, id: this.#id(n), seq, input, output, messageId, toolCallId, startedAt: now, endedAt };
  }

  end(step: StoredStep, status: StepStatus, output: JsonObject | null, now: number): void {
    this.#store.sql.exec(
      "UPDATE steps SET status = ?, output = COALESCE(?, output), ended_at = ? WHERE n = ?",
      status,
      output && clipped(output),
      now,
      partNumber(step.id),
    );
  }

  /** Steps of a run that began and have not ended. */
  running(runId: string, stepType: StepType): StoredStep[] {
    return this.#read("WHERE run_id = ? AND step_type = ? AND status = 'running' ORDER BY seq", runId, stepType);
  }

  /** A run's newest model call whose answer is stored; messages of that answer are numbered above `messageId`. */
  lastModelCall(runId: string): { seq: number; id: string; messageId: string } | undefined {
    const [step] = this.#read(
      "WHERE run_id = ? AND step_type = 'model_call' AND status = 'completed' ORDER BY seq DESC LIMIT 1",
      runId,
    );
    return step?.messageId ? { seq: step.seq, id: step.id, messageId: step.messageId } : undefined;
  }

  modelCalls(runId: string): number {
    return this.#store.sql
      .exec<{ n: number }>(
        "SELECT COUNT(*) AS n FROM steps WHERE run_id = ? AND step_type = 'model_call' AND status = 'completed'",
        runId,
      )
      .one().n;
  }

  /** Tool steps that follow the model call with number `seq`. */
  toolsSince(runId: string, seq: number): StoredStep[] {
    return this.#read("WHERE run_id = ? AND step_type = 'tool_call' AND seq > ? ORDER BY seq", runId, seq);
  }

  /** One row more than the page holds, for `cutOffsetPage`. */
  list(runId: string, { pageSize, offset }: OffsetPage): RunStep[] {
    const rows = this.#read("WHERE run_id = ? ORDER BY seq LIMIT ? OFFSET ?", runId, pageSize + 1, offset);
    return rows.map(({ messageId: _message, toolCallId: _call, ...step }) => step);
  }

  #read(where: string, ...values: (string | number)[]): StoredStep[] {
    return this.#store.sql
      .exec<Row>(`SELECT * FROM steps ${where}`, ...values)
      .toArray()
      .map((row) => this.#toStep(row));
  }

  #id(n: number): string {
    return partId("step", this.#store.session?.id ?? "", n);
  }

  #toStep(row: Row): StoredStep {
    const sessionId = this.#store.session?.id ?? "";
    return {
      id: this.#id(row.n),
      runId: row.run_id,
      seq: row.seq,
      stepType: row.step_type as StepType,
      name: row.name,
      agentName: row.agent_name,
      status: row.status as StepStatus,
      input: row.input === null ? null : (JSON.parse(row.input) as JsonObject),
      output: row.output === null ? null : (JSON.parse(row.output) as JsonObject),
      startedAt: row.started_at,
      endedAt: row.ended_at,
      messageId: row.message_n === null ? null : partId("message", sessionId, row.message_n),
      toolCallId: row.tool_call_id,
    };
  }
}

/** JSON text a row can hold: an object that is too long keeps its short fields. */
function clipped(value: JsonObject): string {
  const text = JSON.stringify(value);
  if (text.length <= MAX_STEP_CHARS) return text;
  const kept = Object.entries(value).map(([key, item]) => {
    const chars = JSON.stringify(item).length;
    return [key, chars > 10_000 ? { omitted: true, chars } : item];
  });
  return JSON.stringify(Object.fromEntries(kept));
}
