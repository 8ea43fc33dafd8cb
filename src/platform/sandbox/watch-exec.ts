import type { SandboxRoute } from "#domain/sandbox/ports";
import { Fault } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import { callAgent, readAnswer } from "#platform/sandbox/agent-client";
import { AgentSandbox } from "#protocol/host-agent";

const EVERY_MS = 10 * SECOND;
const ANSWER_MS = 5 * SECOND;
const FAILURES = 2;

/**
 * Notices that a host has vanished without closing the connection (H2): while a command runs, its sandbox is looked
 * after every ten seconds, and `signal` aborts with `host_lost` when it is gone or the host stays silent twice.
 */
export function watchExec(
  sandboxId: string,
  currentRoute: () => Promise<SandboxRoute>,
): { signal: AbortSignal; start: (route: SandboxRoute) => void; end: () => void } {
  const lost = new AbortController();
  let timer: number | null = null;
  let failures = 0;

  async function look(generation: number): Promise<void> {
    try {
      const { address, token } = await currentRoute();
      const path = `/v1/sandboxes/${sandboxId}`;
      const response = await callAgent({ address, token, method: "GET", path, deadlineMs: ANSWER_MS });
      const there = await readAnswer(response, AgentSandbox);
      failures = there.status === "running" && there.generation === generation ? 0 : FAILURES;
    } catch {
      failures++;
    }
    if (failures < FAILURES) return;
    clearInterval(timer);
    lost.abort(new Fault("host_lost", "the host of the sandbox no longer runs the command"));
  }

  return {
    signal: lost.signal,
    start: ({ generation }) => {
      clearInterval(timer);
      timer = setInterval(() => void look(generation), EVERY_MS);
    },
    end: () => clearInterval(timer),
  };
}
