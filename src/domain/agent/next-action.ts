import type { AgentPolicy } from "#domain/agent/values";
import type { OpenCall, Progress } from "#domain/session/journal";

export type Action =
  | { type: "tools"; calls: readonly OpenCall[] }
  | { type: "model" }
  | { type: "done" }
  | { type: "exhausted"; maxSteps: number };

/** Fewest model calls a limit allows: one to ask for a tool and one to answer (runtime contract, section 11). */
const LEAST_MAX_STEPS = 2;

/** What a run does next, by nothing but its durable progress: first what is open, then the model, until it is done. */
export function nextAction(progress: Progress, policy: Pick<AgentPolicy, "maxSteps">): Action {
  if (progress.openCalls.length > 0) return { type: "tools", calls: progress.openCalls };
  if (progress.finished) return { type: "done" };
  const maxSteps = policy.maxSteps === null ? null : Math.max(LEAST_MAX_STEPS, policy.maxSteps);
  if (maxSteps !== null && progress.modelCalls >= maxSteps) return { type: "exhausted", maxSteps };
  return { type: "model" };
}
