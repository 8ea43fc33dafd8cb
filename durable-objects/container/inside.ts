import { SECOND } from "#kernel/time";
import { AgentRefusal } from "#objects/container/agent-refusal";
import type { ContainerAdapter } from "#platform/sandbox/container-adapter";
import { signControlToken } from "#platform/sandbox/control-token";
import { CONTAINER_HOST } from "#protocol/container";
import { AgentError } from "#protocol/host-agent";

const READY_MS = 45 * SECOND;
const FIRST_WAIT_MS = 20;
const LONGEST_WAIT_MS = 500;
/** Only the path of such a request matters. */
const ORIGIN = "http://container";

type Call = {
  env: { SIGNING_KEY?: string };
  sandboxId: string;
  generation: number;
  method: "GET" | "PUT" | "POST" | "DELETE";
  /** The rest of the path after the sandbox, with its query. */
  rest: string;
  body?: string | undefined;
};

/** Waits until the agent inside a container that was launched serves. Throws when it does not in time. */
export async function untilServing(adapter: ContainerAdapter): Promise<void> {
  const deadline = Date.now() + READY_MS;
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    const health = await adapter.fetch(new Request(`${ORIGIN}/v1/health`)).catch(() => undefined);
    await health?.body?.cancel();
    if (health?.ok) return;
    if (Date.now() > deadline) throw new Error("the agent inside the container does not answer");
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/** Has the agent inside do a part of the lifecycle. Answers its JSON, null for none; its refusals are thrown. */
export async function callInside(adapter: ContainerAdapter, call: Call): Promise<unknown> {
  const { sandboxId, generation, method, rest, body } = call;
  const { token } = await signControlToken(call.env, { hostId: CONTAINER_HOST, sandboxId, generation }, "lifecycle");
  const response = await adapter
    .fetch(
      new Request(`${ORIGIN}/v1/sandboxes/${sandboxId}${rest}`, {
        method,
        headers: { authorization: `Bearer ${token}` },
        body: body ?? null,
      }),
    )
    .catch(() => {
      throw new AgentRefusal("sandbox_lost", "the container does not answer");
    });
  if (response.status === 204) return null;
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok) return answer;
  const refused = AgentError.safeParse(answer);
  const { code, message } = refused.success
    ? refused.data.error
    : ({ code: "internal", message: "the agent inside the container failed" } as const);
  throw new AgentRefusal(code, message);
}
