/** Limits of an agent's runs (runtime-engine contract, section 2). Null means no limit. */
export type AgentPolicy = {
  maxSteps: number | null;
  runTimeoutSeconds: number | null;
  toolTimeoutSeconds: number | null;
  parallelToolCalls: boolean;
};

export type AgentDefinition = {
  name: string;
  mode: "primary" | "subagent" | "all";
  source: "platform" | "workspace";
  description: string;
  /** System prompt. */
  prompt: string;
  /** Model reference, or null for the session's or the server's default. */
  model: string | null;
  /** Names of the native tools the agent may use. */
  tools: readonly string[];
  policy: AgentPolicy;
};
