import type { AgentErrorCode } from "#protocol/host-agent";

const STATUS: Record<AgentErrorCode, number> = {
  unauthorized: 401,
  invalid: 400,
  not_found: 404,
  sandbox_not_running: 409,
  sandbox_paused: 409,
  stale_generation: 409,
  start_failed: 503,
  freeze_failed: 503,
  sandbox_lost: 502,
  internal: 500,
};

/** A refusal of the agent, answered as `{ error: { code, message } }`. */
export class Failure extends Error {
  readonly code: AgentErrorCode;

  constructor(code: AgentErrorCode, message: string) {
    super(message);
    this.name = "Failure";
    this.code = code;
  }

  get status(): number {
    return STATUS[this.code];
  }
}
