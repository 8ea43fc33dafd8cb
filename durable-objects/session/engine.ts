import { findAgent, parseAgentLimits } from "#domain/agent/agents";
import { runAgent } from "#domain/agent/run-agent";
import type { Journal, Outcome } from "#domain/session/journal";
import type { Run, Session } from "#domain/session/values";
import { NATIVE_TOOLS } from "#domain/tool/tools";
import { Fault } from "#kernel/fault";
import { createLog } from "#kernel/log";
import { SECOND } from "#kernel/time";
import { catalog } from "#platform/models/catalog";
import { makeSandboxPort } from "#platform/sandbox/port";

/** Carries out runs of one session. */
export type Engine = {
  /** Longest time one run may take, null for no limit. */
  readonly runTimeoutMs: number | null;
  /** One attempt of a run. Everything it does is in the journal; a rejection counts as a crash. */
  run(attempt: { run: Run; journal: Journal; signal: AbortSignal }): Promise<Outcome>;
  /** Kills the process of a tool call by its effect key; safe to repeat and for calls without a process. */
  kill(effectKey: string): Promise<void>;
};

export type EngineFactory = (env: Env, session: Session) => Engine;

/** The agent loop over the configured models and the session's sandbox. */
function agentEngine(env: Env, session: Session): Engine {
  const limits = parseAgentLimits(env);
  const link = makeSandboxPort(env).link(session.teamId, session.sandboxId);
  const { runTimeoutSeconds } = findAgent(session.activeAgentName, limits)?.policy ?? limits;
  const log = createLog(env.LOG_LEVEL, { sessionId: session.id });
  return {
    runTimeoutMs: runTimeoutSeconds === null ? null : runTimeoutSeconds * SECOND,
    kill: (effectKey) => link.kill(effectKey),
    async run({ run, journal, signal }) {
      const agent = findAgent(run.agentName, limits);
      if (!agent) return failed("agent_not_found", `there is no agent ${run.agentName}`);
      try {
        const model = catalog(env).get(session.modelRef ?? agent.model);
        const deps = {
          agent,
          model,
          tools: NATIVE_TOOLS,
          link,
          signal,
          now: Date.now,
          log: log.with({ runId: run.id }),
        };
        return await runAgent(deps, journal);
      } catch (error) {
        if (error instanceof Fault && error.code === "model_not_found") return failed(error.code, error.message);
        throw error;
      }
    },
  };
}

const failed = (code: string, message: string): Outcome => ({ type: "failed", code, message });

/** Where a session's object gets its engine from. */
export const engines: { create: EngineFactory } = { create: agentEngine };
