import type { DirectoryEffect, SandboxEffect, SandboxState } from "#domain/sandbox/state";
import type { EventReason } from "#protocol/team-feed";

type Action = "capsule.create" | "capsule.pause" | "capsule.resume" | "capsule.destroy";

/** What readers of the team's events learn of a sandbox. Who did it is found out when it is told. */
export type SandboxNews =
  | { type: Action; outcome: "success"; reason: EventReason | null }
  | { type: Action; outcome: "error"; error: string; reason: EventReason | null };

type Step = { state: SandboxState; effects: readonly SandboxEffect[] };

/** What is also audited when it failed. */
const ATTEMPTS: Partial<Record<Action, `sandbox.${string}`>> = {
  "capsule.pause": "sandbox.paused",
  "capsule.resume": "sandbox.resumed",
};

/**
 * Adds to a step what is to be told of it: each change of status to live readers, and the end of what somebody or the
 * system did as an event, the last of which is stored together with the audit entry where there is one (platform A20).
 * A pause or a resumption that failed has an audit entry of its own (platform R384), of who asked for it. Pure.
 */
export function withNews(before: SandboxState, { state, effects }: Step, now: number): SandboxEffect[] {
  if (state.status === before.status) return [...effects];
  const told: DirectoryEffect = { type: "tell", from: before.status, to: state.status, at: now };
  const at = effects.findIndex(({ type }) => type === "publish") + 1;
  const all: SandboxEffect[] = [...effects.slice(0, at), told, ...effects.slice(at)];
  const news = newsOf(before, state);
  const recorded = all.find((effect) => effect.type === "record");
  const last = recorded && news.findLast((one) => !attemptOf(one));
  const entries = news.filter((one) => one !== last).map((one) => entryOf(one, before, state, now));
  if (!recorded) return [...all, ...entries];
  return all.flatMap((effect) =>
    effect === recorded ? [...entries, { ...recorded, ...(last && { at: now, news: last }) }] : [effect],
  );
}

function entryOf(news: SandboxNews, before: SandboxState, after: SandboxState, at: number): SandboxEffect {
  const attempt = attemptOf(news);
  const by = attempt ? before.by : after.by;
  const what = attempt
    ? ({ action: attempt, reason: news.outcome === "error" ? news.error : null, failed: true } as const)
    : ({ action: null, reason: null } as const);
  return { type: "record", ...what, at, ...(by && { by }), news };
}

/** What was tried, if this is the failure of something that is then audited. */
const attemptOf = ({ type, outcome }: SandboxNews) => (outcome === "error" ? ATTEMPTS[type] : undefined);

function newsOf(before: SandboxState, after: SandboxState): SandboxNews[] {
  const { cause: reason } = after;
  const done = (type: Action): SandboxNews => ({ type, outcome: "success", reason });
  const failed = (type: Action, error: string): SandboxNews => ({ type, outcome: "error", error, reason });
  const why = after.reason ?? "it did not work";
  const news: SandboxNews[] = [];
  if (after.status === "running" && before.startedAt === null) news.push(done("capsule.create"));
  if (after.status === "error" && after.startedAt === null) news.push(failed("capsule.create", why));
  if (after.status === "paused" && before.status !== "resuming") news.push(done("capsule.pause"));
  if (before.status === "pausing" && isFailedPause(after)) news.push(failed("capsule.pause", why));
  if (before.status === "resuming" && after.status === "running") news.push(done("capsule.resume"));
  if (before.status === "resuming" && (after.status === "paused" || after.status === "error")) {
    news.push(failed("capsule.resume", why));
  }
  if (after.status === "stopped" && after.wiped) news.push(done("capsule.destroy"));
  return news;
}

/** Whether a pause ended otherwise than as a pause or by a stop that somebody asked for. */
const isFailedPause = ({ status, fault }: SandboxState): boolean => status !== "paused" && fault !== null;
