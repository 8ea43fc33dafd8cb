import type { Journal, Outcome } from "#domain/session/journal";
import type { Run, Session } from "#domain/session/values";

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

/** Where a session's object gets its engine from. */
export const engines: { create: EngineFactory } = {
  create: () => ({
    runTimeoutMs: null,
    run: async () => ({ type: "failed", code: "no_engine", message: "no engine is configured" }),
    kill: async () => {},
  }),
};
