import { Fault, type FaultCode } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import { transportTo } from "#platform/sandbox/transport";
import { AgentError, type AgentErrorCode } from "#protocol/host-agent";
import { SupervisorError, type SupervisorErrorCode } from "#protocol/supervisor";

/** How long a host may take for an answer that has no limit of its own. */
const CALL_DEADLINE_MS = 60 * SECOND;

export type AgentCall = {
  address: string;
  token: string;
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Absolute path with its query. */
  path: string;
  body?: BodyInit | undefined;
  /** Milliseconds until the answer must have come; null for none. `CALL_DEADLINE_MS` when absent. */
  deadlineMs?: number | null | undefined;
  signal?: AbortSignal | undefined;
  /** Told as soon as an answer begins, whatever it is. */
  onAnswer?: (() => void) | undefined;
};

/** The host refused because the caller's lease is not the current one; the call had no effect. */
export class StaleLease extends Fault {}

/** The sandbox is paused; the call had no effect. */
export class PausedSandbox extends Fault {}

const SUPERVISOR_FAULTS: Record<SupervisorErrorCode, FaultCode> = {
  invalid: "invalid",
  invalid_path: "invalid_path",
  path_not_allowed: "path_not_allowed",
  root_mutation: "root_mutation",
  file_not_found: "file_not_found",
  directory_not_found: "directory_not_found",
  entry_not_found: "entry_not_found",
  exec_not_found: "conflict",
  process_not_found: "process_not_found",
  entry_exists: "entry_exists",
  entry_conflict: "entry_conflict",
  directory_not_empty: "directory_not_empty",
  not_a_regular_file: "not_a_regular_file",
  not_a_directory: "invalid",
  precondition_failed: "precondition_failed",
  not_supported: "not_supported",
  conflict: "conflict",
  disk_full: "disk_full",
  too_large: "too_large",
  port_closed: "sandbox_failed",
  internal: "sandbox_failed",
};

const AGENT_FAULTS: Record<AgentErrorCode, FaultCode | "stale" | "paused"> = {
  unauthorized: "sandbox_failed",
  invalid: "sandbox_failed",
  not_found: "stale",
  sandbox_not_running: "stale",
  sandbox_paused: "paused",
  stale_generation: "stale",
  start_failed: "sandbox_failed",
  freeze_failed: "sandbox_failed",
  snapshot_failed: "sandbox_failed",
  transfer_failed: "sandbox_failed",
  sandbox_lost: "host_lost",
  port_closed: "sandbox_failed",
  port_busy: "sandbox_failed",
  internal: "sandbox_failed",
};

/**
 * One HTTP call to a host agent. Answers a response with a success status, its body still to be read. Throws
 * `StaleLease` or the `Fault` that the host's error stands for; `host_lost` when the connection breaks or the deadline
 * passes; the signal's reason when the caller gave up.
 */
export async function callAgent(call: AgentCall): Promise<Response> {
  const send = transportTo(call.address, call.path);
  const late = new AbortController();
  const deadlineMs = call.deadlineMs === undefined ? CALL_DEADLINE_MS : call.deadlineMs;
  const timer = deadlineMs === null ? null : setTimeout(() => late.abort(), deadlineMs);
  try {
    const response = await send({
      method: call.method,
      headers: { authorization: `Bearer ${call.token}` },
      body: call.body ?? null,
      redirect: "manual",
      signal: call.signal ? AbortSignal.any([late.signal, call.signal]) : late.signal,
    });
    call.onAnswer?.();
    if (!response.ok) throw await asFault(response);
    return response;
  } catch (error) {
    throw call.signal?.aborted ? call.signal.reason : asHostLost(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Reads a JSON answer that was promised by `parse`; a body that breaks off is `host_lost`, a wrong one `sandbox_failed`. */
export async function readAnswer<T>(response: Response, schema: { parse(value: unknown): T }): Promise<T> {
  const text = await response.text().catch((error) => {
    throw asHostLost(error);
  });
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new Fault("sandbox_failed", "the host sent an answer that is not understood");
  }
}

const asHostLost = (error: unknown): Fault =>
  error instanceof Fault ? error : new Fault("host_lost", "the host of the sandbox does not answer");

async function asFault(response: Response): Promise<Fault> {
  const body: unknown = await response.json().catch(() => null);
  const agent = AgentError.safeParse(body);
  if (agent.success) {
    const { code, message } = agent.data.error;
    const fault = AGENT_FAULTS[code];
    if (fault === "stale") return new StaleLease("host_lost", message);
    return fault === "paused" ? new PausedSandbox("sandbox_not_running", message) : new Fault(fault, message);
  }
  const supervisor = SupervisorError.safeParse(body);
  if (supervisor.success) return new Fault(SUPERVISOR_FAULTS[supervisor.data.code], supervisor.data.message);
  return new Fault("sandbox_failed", `the host answered ${response.status}`);
}
