import { type Ctx, demand } from "#domain/context";
import type { DayUsage } from "#domain/usage/ports";
import { MAX_USAGE_DAYS, USAGE_DAYS } from "#domain/usage/values";
import { Fault } from "#kernel/fault";
import { DAY } from "#kernel/time";

export type Usage = { from: number; to: number; days: DayUsage[] };

/**
 * What the actor's team reserved on each day from `from` to `to`, as days since the epoch; by default the last thirty and
 * today (platform R281, A48).
 */
export async function getUsage(ctx: Ctx, query: { from?: number; to?: number }): Promise<Usage> {
  demand(ctx.actor, "sandbox:read");
  const today = Math.floor(ctx.now() / DAY);
  const { from = today - USAGE_DAYS, to = today } = query;
  if (from > to) throw new Fault("invalid", "`from` is after `to`");
  if (to - from > MAX_USAGE_DAYS) throw new Fault("invalid", `at most ${MAX_USAGE_DAYS} days can be asked for at once`);
  return { from, to, days: await ctx.usage.of(ctx.actor.teamId).days(from, to) };
}
