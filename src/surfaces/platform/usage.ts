import { z } from "zod";
import { getStats } from "#domain/usage/get-stats";
import { getUsage } from "#domain/usage/get-usage";
import type { DayUsage, TeamStats } from "#domain/usage/ports";
import { STATS_RANGES, type StatsRange } from "#domain/usage/values";
import { type Operation, operation } from "#http/operation";
import { DAY, iso, MINUTE } from "#kernel/time";

const Range = z.enum(STATS_RANGES);
const Numbers = z.array(z.int());

const CapsuleStats = z
  .object({
    range: Range,
    current: z.object({
      running_count: z.int(),
      vcpus_reserved: z.int(),
      memory_mb_reserved: z.int(),
      sampled_at: z.iso.datetime().nullable(),
    }),
    peaks: z
      .object({ running_count: z.int(), vcpus: z.int(), memory_mb: z.int() })
      .describe("The most there was in the last 30 days."),
    series: z.object({ labels: z.array(z.iso.datetime()), running: Numbers, vcpus: Numbers, memory_mb: Numbers }),
  })
  .meta({ id: "CapsuleStats" });

const UsageDay = z.object({ date: z.iso.date(), cpu_minutes: z.number(), ram_mb_minutes: z.number() });
const UsageResponse = z
  .object({ from: z.iso.date(), to: z.iso.date(), points: z.array(UsageDay) })
  .meta({ id: "UsageResponse" });

const toStats = (range: StatsRange, { current, peaks, series }: TeamStats): z.input<typeof CapsuleStats> => ({
  range,
  current: {
    running_count: current.running,
    vcpus_reserved: current.vcpus,
    memory_mb_reserved: current.memoryMb,
    sampled_at: current.sampledAt === null ? null : iso(current.sampledAt),
  },
  peaks: { running_count: peaks.running, vcpus: peaks.vcpus, memory_mb: peaks.memoryMb },
  series: {
    labels: series.map(({ at }) => iso(at)),
    running: series.map(({ running }) => running),
    vcpus: series.map(({ vcpus }) => vcpus),
    memory_mb: series.map(({ memoryMb }) => memoryMb),
  },
});

/** Days are counted from the epoch inside, and written as dates (UTC) here. */
const dateOf = (day: number): string => iso(day * DAY).slice(0, "YYYY-MM-DD".length);
const Day = z.iso.date().transform((date) => Date.parse(date) / DAY);

const THOUSAND = 1_000;
const minutes = (ms: number): number => Math.round((ms / MINUTE) * THOUSAND) / THOUSAND;

const toUsageDay = ({ day, vcpuMs, mbMs }: DayUsage): z.input<typeof UsageDay> => ({
  date: dateOf(day),
  cpu_minutes: minutes(vcpuMs),
  ram_mb_minutes: minutes(mbMs),
});

const shared = {
  method: "get",
  tag: "capsules",
  permission: "sandbox:read",
  accepts: ["api_key", "session"],
  faults: ["invalid", "unauthenticated"],
} as const;

export const usageOperations: readonly Operation[] = [
  operation({
    ...shared,
    id: "getCapsuleStats",
    path: "/v1/capsules/stats",
    summary: "Read what the team's capsules reserve",
    description:
      "Starting and running capsules count in full, paused ones with half their memory. Samples are 10 seconds apart; each " +
      "point of the series is the maximum of its period.",
    query: z.object({ range: Range.default("1h") }),
    returns: { status: 200, schema: CapsuleStats },
    run: async (ctx, { query: { range } }) => toStats(range, await getStats(ctx, range)),
  }),
  operation({
    ...shared,
    id: "getCapsuleUsage",
    path: "/v1/capsules/usage",
    summary: "Read what the team's capsules reserved day by day",
    description:
      "Reserved processors and megabytes times minutes of each day (UTC), today until now. Without `from` and `to` the last " +
      "30 days and today; at most 92 days apart.",
    query: z.object({ from: Day.optional(), to: Day.optional() }),
    returns: { status: 200, schema: UsageResponse },
    run: async (ctx, { query: { from, to } }) => {
      const asked = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
      const usage = await getUsage(ctx, asked);
      return { from: dateOf(usage.from), to: dateOf(usage.to), points: usage.days.map(toUsageDay) };
    },
  }),
];
