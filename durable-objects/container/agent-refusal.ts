import type { Log } from "#kernel/log";
import type { AgentErrorCode } from "#protocol/host-agent";
import { AGENT_STATUS } from "#protocol/host-agent";

/** A refusal in the words of a host agent. */
export class AgentRefusal extends Error {
  readonly code: AgentErrorCode;

  constructor(code: AgentErrorCode, message: string) {
    super(message);
    this.name = "AgentRefusal";
    this.code = code;
  }
}

/** Answers an error as a host agent does; one that nobody expected is logged and shows nothing. */
export function refusalResponse(error: unknown, log: Log): Response {
  const refusal = error instanceof AgentRefusal ? error : new AgentRefusal("internal", "internal error");
  if (refusal !== error) log.error("a call to a container failed", { error });
  const { code, message } = refusal;
  return Response.json({ error: { code, message } }, { status: AGENT_STATUS[code] });
}
