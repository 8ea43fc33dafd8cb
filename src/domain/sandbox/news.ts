import type { DirectoryEffect, SandboxEffect, SandboxState } from "#domain/sandbox/machine";

/** What readers of the team's events learn of a sandbox. Who did it is found out when it is told. */
export type SandboxNews =
  | { type: "capsule.create"; outcome: "success" }
  | { type: "capsule.create"; outcome: "error"; error: string }
  | { type: "capsule.destroy"; outcome: "success"; reason: "host_failure" | null };

type Step = { state: SandboxState; effects: readonly SandboxEffect[] };

/**
 * Adds to a step what is to be told of it: each change of status to live readers, and the end of a creation or a
 * destruction as an event, which is stored together with the audit entry where there is one (platform A20). Pure.
 */
export function withNews(before: SandboxState, { state, effects }: Step, now: number): SandboxEffect[] {
  if (state.status === before.status) return [...effects];
  const news = newsOf(before, state);
  const told: DirectoryEffect = { type: "tell", from: before.status, to: state.status, at: now };
  const at = effects.findIndex(({ type }) => type === "publish") + 1;
  const all: SandboxEffect[] = [...effects.slice(0, at), told, ...effects.slice(at)];
  if (!news) return all;
  const recorded = all.some(({ type }) => type === "record");
  if (!recorded) return [...all, { type: "record", action: null, at: now, reason: null, news }];
  return all.map((effect) => (effect.type === "record" ? { ...effect, news } : effect));
}

function newsOf(before: SandboxState, after: SandboxState): SandboxNews | undefined {
  if (after.status === "running" && before.startedAt === null) return { type: "capsule.create", outcome: "success" };
  if (after.status === "error" && after.startedAt === null) {
    return { type: "capsule.create", outcome: "error", error: after.reason ?? "the sandbox did not start" };
  }
  if (after.status === "stopped" && after.wiped) {
    const reason = after.reason === null ? null : "host_failure";
    return { type: "capsule.destroy", outcome: "success", reason };
  }
  return undefined;
}
