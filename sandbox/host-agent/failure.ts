import { AGENT_STATUS, type AgentErrorCode } from "#protocol/host-agent";

/** A refusal of the agent, answered as `{ error: { code, message } }`. */
export class Failure extends Error {
  readonly code: AgentErrorCode;

  constructor(code: AgentErrorCode, message: string) {
    super(message);
    this.name = "Failure";
    this.code = code;
  }

  get status(): number {
    return AGENT_STATUS[this.code];
  }
}
