import { callModel } from "#domain/agent/call-model";
import { nextAction } from "#domain/agent/next-action";
import { runToolCalls } from "#domain/agent/run-tool-calls";
import type { AgentDefinition } from "#domain/agent/values";
import type { Model } from "#domain/model/ports";
import type { SandboxLink } from "#domain/sandbox/ports";
import { type Journal, type Outcome, Superseded } from "#domain/session/journal";
import type { Tool } from "#domain/tool/tool";
import type { Log } from "#kernel/log";

export type AgentDeps = {
  agent: AgentDefinition;
  model: Model;
  /** Every tool there is; the agent may use those its definition names. */
  tools: readonly Tool[];
  link: SandboxLink;
  /** Aborts the attempt: cancel, interrupt, time-out of the run. Its processes in the sandbox are then killed. */
  signal: AbortSignal;
  now(): number;
  log?: Log;
};

/** What one attempt shares: `signal` also aborts when the attempt ends by itself, `stop` ends it. */
export type Attempt = AgentDeps & {
  journal: Journal;
  /** True when somebody asked for the end, so what the attempt started is to be killed. */
  cancelled(): boolean;
  stop(reason: unknown): void;
};

/**
 * Runs an agent until it has answered. The loop holds no state of its own: each round reads the journal's progress, so
 * an attempt that follows a crash goes on where the last one stored something. Tools never fail a run. Errors of the
 * journal itself are thrown, and another attempt may follow.
 */
export async function runAgent(deps: AgentDeps, journal: Journal): Promise<Outcome> {
  const scope = new AbortController();
  const attempt: Attempt = {
    ...deps,
    journal,
    signal: AbortSignal.any([deps.signal, scope.signal]),
    cancelled: () => deps.signal.aborted && !(deps.signal.reason instanceof Superseded),
    stop: (reason) => scope.abort(reason),
  };
  try {
    return await loop(attempt);
  } catch (error) {
    if (error instanceof Superseded || deps.signal.aborted) return { type: "aborted" };
    throw error;
  } finally {
    scope.abort();
  }
}

async function loop(attempt: Attempt): Promise<Outcome> {
  for (;;) {
    attempt.signal.throwIfAborted();
    const action = nextAction(attempt.journal.progress(), attempt.agent.policy);
    switch (action.type) {
      case "done":
        return { type: "completed" };
      case "exhausted":
        return {
          type: "failed",
          code: "model_max_steps_exhausted",
          message: `the agent did not finish within ${action.maxSteps} model calls`,
        };
      case "tools":
        await runToolCalls(attempt, action.calls);
        break;
      case "model": {
        const failure = await callModel(attempt);
        if (failure) return failure;
        break;
      }
    }
  }
}
