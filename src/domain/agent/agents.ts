import type { AgentDefinition } from "#domain/agent/values";
import { Fault } from "#kernel/fault";

/** Limits of agents that set none of their own, in seconds; null means no limit. */
export type AgentLimits = { runTimeoutSeconds: number | null; toolTimeoutSeconds: number | null };

const DEFAULT_AGENT_NAME = "assistant";

const DEFAULT_LIMITS: AgentLimits = { runTimeoutSeconds: 3_600, toolTimeoutSeconds: 600 };

const ASSISTANT_PROMPT = `You are a helpful assistant in Longshore, a platform for agents that work in sandboxes.
You talk with the user: you answer questions, explain, plan, and write text or code in your answers.
You have no tools: you cannot run commands, open files or reach the network, and you never claim that you did.
When a task needs any of that, say so and suggest a session with the agent "builder", which has a sandbox.
Be brief and precise. Say plainly when you do not know.`;

const BUILDER_PROMPT = `You are a software engineer who works in a Linux sandbox of Longshore, a platform for agents.
Your files are in /workspace; they stay between messages. Commands start there, each in a new shell.
Tools: Bash runs commands; Read, Write and Edit work on files; Glob finds files by name; Grep searches their content.
Work in small steps: look before you change something, make the change, then run it or its tests and look at the result.
Ask for several tools at once when they do not depend on each other.
A failed command is information: read its message, find the cause, and try something else.
When a tool call was interrupted, its outcome is unknown: check what happened before you repeat it.
Finish with a short summary of what you did, what you checked, and what is left. Never claim a result you did not see.`;

/** The built-in agents. */
export function listAgents(limits: AgentLimits = DEFAULT_LIMITS): AgentDefinition[] {
  const common = { mode: "primary", source: "platform", model: null } as const;
  const policy = { maxSteps: null, ...limits, parallelToolCalls: true };
  return [
    {
      ...common,
      name: DEFAULT_AGENT_NAME,
      description: "Answers questions. Has no tools and no access to the sandbox.",
      prompt: ASSISTANT_PROMPT,
      tools: [],
      policy,
    },
    {
      ...common,
      name: "builder",
      description: "Works in the sandbox: runs commands and reads, writes, edits and searches files.",
      prompt: BUILDER_PROMPT,
      tools: ["Bash", "Read", "Write", "Edit", "Glob", "Grep"],
      policy,
    },
  ];
}

export function findAgent(name: string, limits?: AgentLimits): AgentDefinition | undefined {
  return listAgents(limits).find((agent) => agent.name === name);
}

/**
 * The agent a session starts with: the named one, or the default for null. Throws `agent_not_found`, and
 * `agent_target_invalid` for an agent that only others may call.
 */
export function pickAgent(name: string | null, limits?: AgentLimits): AgentDefinition {
  const agent = findAgent(name ?? DEFAULT_AGENT_NAME, limits);
  if (!agent) throw new Fault("agent_not_found", `there is no agent ${name}`, { agentName: name });
  if (agent.mode === "subagent") {
    throw new Fault("agent_target_invalid", `agent ${agent.name} can only be called by another agent`, {
      agentName: agent.name,
    });
  }
  return agent;
}

/** Limits from configuration, in seconds; throws when one is not a positive number. Empty text means no limit. */
export function parseAgentLimits(vars: { RUN_TIMEOUT_SECONDS: string; TOOL_TIMEOUT_SECONDS: string }): AgentLimits {
  return {
    runTimeoutSeconds: seconds("RUN_TIMEOUT_SECONDS", vars.RUN_TIMEOUT_SECONDS),
    toolTimeoutSeconds: seconds("TOOL_TIMEOUT_SECONDS", vars.TOOL_TIMEOUT_SECONDS),
  };
}

function seconds(name: string, text: string): number | null {
  if (text.trim() === "") return null;
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0)
    throw new Error(`${name} is "${text}"; it must be a number of seconds above 0`);
  return value;
}
