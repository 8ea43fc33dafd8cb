import type { Placement } from "#domain/host/place-sandbox";
import { networkInWords } from "#domain/sandbox/network";
import type { RunsOn, SandboxBackend, SandboxSpec } from "#domain/sandbox/ports";
import { Fault, type Result, settle } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import { callAgent, readAnswer, StaleLease } from "#platform/sandbox/agent-client";
import { signControlToken } from "#platform/sandbox/control-token";
import { CONTAINER_HOST } from "#protocol/container";
import {
  type AgentMachine,
  AgentMetrics,
  AgentSandbox,
  type MetricTier,
  type NetworkPolicy,
  type SandboxSetup,
  type SandboxSource,
  SnapshotAnswer,
  type StartSandbox,
  USUAL_PIDS,
} from "#protocol/host-agent";

/** Shorter than the machine's own deadlines, so that a silent host is asked again or given up in time. */
const START_DEADLINE_MS = 60 * SECOND;
/** Beyond it a template is too large; while its files come, that is told. */
const FILL_DEADLINE_MS = 1800 * SECOND;
const STOP_DEADLINE_MS = 25 * SECOND;
const PAUSE_CALL_MS = 140 * SECOND;
const INSPECT_DEADLINE_MS = 5 * SECOND;
/** Pauses and stops wait for it. */
const METRICS_DEADLINE_MS = 2 * SECOND;

/** Sandboxes on a host agent, over HTTP with a token for each call. */
export class HostBackend implements SandboxBackend {
  readonly #env: { SIGNING_KEY?: string };
  readonly #placement: Placement;

  constructor(env: { SIGNING_KEY?: string }, placement: Placement) {
    this.#env = env;
    this.#placement = placement;
  }

  start(
    { id, vcpus, memoryMb, diskSizeMb, setup }: SandboxSpec,
    generation: number,
    network: NetworkPolicy,
    source: SandboxSource | null,
  ): Promise<Result<{ unenforced: string[]; machine: RunsOn | null }>> {
    const limits = { vcpus, memoryMb, diskMb: diskSizeMb, pids: USUAL_PIDS };
    const wanted: StartSandbox = { limits, network, ...(setup && !isNothing(setup) && { setup }) };
    const [body, deadlineMs] = source ? [{ ...wanted, source }, FILL_DEADLINE_MS] : [wanted, START_DEADLINE_MS];
    return settle(async () => {
      const response = await this.#call(id, generation, "PUT", deadlineMs, "", JSON.stringify(body));
      const { unenforced, machine, network: held } = await readAnswer(response, AgentSandbox);
      return { unenforced, machine: machine ? this.#runsOn(machine, networkInWords(held)) : null };
    });
  }

  stop(id: string, generation: number, files: "keep" | "wipe"): Promise<Result<null>> {
    return settle(async () => {
      await this.#call(id, generation, "DELETE", STOP_DEADLINE_MS, `?files=${files}`).catch(unlessStale);
      return null;
    });
  }

  freeze(id: string, generation: number): Promise<Result<"frozen" | "gone">> {
    return settle(async () => {
      const answer = await this.#call(id, generation, "POST", PAUSE_CALL_MS, "/freeze").catch(unlessStale);
      return answer ? "frozen" : "gone";
    });
  }

  thaw(id: string, generation: number): Promise<Result<"running" | "gone">> {
    return settle(async () => {
      const answer = await this.#call(id, generation, "POST", PAUSE_CALL_MS, "/thaw").catch(unlessStale);
      return answer ? "running" : "gone";
    });
  }

  inspect(id: string, generation: number): Promise<Result<"running" | "paused" | "stopped" | "gone">> {
    return settle(async () => {
      const response = await this.#call(id, generation, "GET", INSPECT_DEADLINE_MS).catch(unlessStale);
      if (!response) return "gone";
      const there = await readAnswer(response, AgentSandbox);
      return there.generation === generation ? there.status : "stopped";
    });
  }

  filling(id: string, generation: number): Promise<Result<{ bytes: number; of: number } | null>> {
    return settle(async () => {
      const response = await this.#call(id, generation, "GET", INSPECT_DEADLINE_MS).catch(unlessStale);
      return response ? (await readAnswer(response, AgentSandbox)).filling : null;
    });
  }

  snapshot(id: string, generation: number, uploadToken: string, deadlineMs: number): Promise<Result<string>> {
    return settle(async () => {
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(new Fault("timeout", "the snapshot took too long")), deadlineMs);
      try {
        const body = JSON.stringify({ token: uploadToken });
        const response = await this.#call(id, generation, "POST", null, "/snapshot", body, late.signal);
        return (await readAnswer(response, SnapshotAnswer)).root;
      } finally {
        clearTimeout(timer);
      }
    });
  }

  metrics(id: string, generation: number, tier: MetricTier | "all"): Promise<Result<AgentMetrics["tiers"]>> {
    return settle(async () => {
      const response = await this.#call(id, generation, "GET", METRICS_DEADLINE_MS, `/metrics?tier=${tier}`);
      return (await readAnswer(response, AgentMetrics)).tiers;
    });
  }

  #runsOn({ kernel, agent, supervisor, isolation }: AgentMachine, network: string): RunsOn {
    const pauseMode = this.#placement.hostId === CONTAINER_HOST ? "filesystem" : "freeze";
    return { kernel, agent, supervisor, vmm: isolation, pauseMode, network };
  }

  async #call(
    sandboxId: string,
    generation: number,
    method: "GET" | "PUT" | "POST" | "DELETE",
    deadlineMs: number | null,
    rest = "",
    body?: string,
    signal?: AbortSignal,
  ): Promise<Response> {
    const { hostId, address } = this.#placement;
    const { token } = await signControlToken(this.#env, { hostId, sandboxId, generation }, "lifecycle");
    return callAgent({ address, token, method, path: `/v1/sandboxes/${sandboxId}${rest}`, body, deadlineMs, signal });
  }
}

const isNothing = ({ env, start }: SandboxSetup) => start.length === 0 && Object.keys(env).length === 0;

/** A host that does not know the sandbox, or knows a newer lease of it, runs nothing under this one. */
function unlessStale(error: unknown): undefined {
  if (!(error instanceof StaleLease)) throw error;
}
