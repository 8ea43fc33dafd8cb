import { z } from "zod";
import { getMetrics } from "#domain/metrics/get-metrics";
import { METRIC_RANGES } from "#domain/metrics/values";
import { asAdminOf } from "#domain/sandbox/as-admin";
import { type Operation, operation } from "#http/operation";
import { SECOND } from "#kernel/time";
import type { MetricPoint } from "#protocol/host-agent";

const Point = z
  .object({
    timestamp_unix: z.int(),
    cpu_pct: z.number().describe("Share of all its processors, 0 to 100."),
    mem_bytes: z.int().describe("Resident memory of its processes."),
    disk_bytes: z.int().describe("Allocated bytes of its files."),
  })
  .meta({ id: "MetricPoint" });

const Range = z.enum(METRIC_RANGES);
const CapsuleMetrics = z
  .object({ sandbox_id: z.string(), range: Range, points: z.array(Point) })
  .meta({ id: "CapsuleMetrics" });

const CPU_STEPS = 100;

/** Points of the finest tier come every half second, so two may share a second (platform A34). */
const toPoint = ({ atMs, cpuPct, memBytes, diskBytes }: MetricPoint): z.input<typeof Point> => ({
  timestamp_unix: Math.floor(atMs / SECOND),
  cpu_pct: Math.round(cpuPct * CPU_STEPS) / CPU_STEPS,
  mem_bytes: Math.round(memBytes),
  disk_bytes: Math.round(diskBytes),
});

const shared = {
  method: "get",
  summary: "Read what a capsule uses",
  description:
    "The last 10 minutes every 500 ms, the last 2 hours in averages over 30 seconds, or the last day in averages over 5 " +
    "minutes, cut to the range. Of a paused capsule the range ends with the pause; one that neither runs nor is paused " +
    "has no metrics.",
  params: z.object({ id: z.string().max(100) }),
  query: z.object({ range: Range.default("10m") }),
  returns: { status: 200, schema: CapsuleMetrics },
  faults: ["invalid", "unauthenticated", "sandbox_not_found", "metrics_not_found", "host_lost"],
} as const;

export const metricOperations: readonly Operation[] = [
  operation({
    ...shared,
    id: "getCapsuleMetrics",
    path: "/v1/capsules/{id}/metrics",
    tag: "capsules",
    permission: "sandbox:read",
    accepts: ["api_key", "session"],
    run: async (ctx, { params: { id }, query: { range } }) => ({
      sandbox_id: id,
      range,
      points: (await getMetrics(ctx, id, range)).map(toPoint),
    }),
  }),
  operation({
    ...shared,
    id: "adminGetCapsuleMetrics",
    path: "/v1/admin/capsules/{id}/metrics",
    tag: "admin",
    permission: "platform:admin",
    run: async (ctx, { params: { id }, query: { range } }) => ({
      sandbox_id: id,
      range,
      points: (await getMetrics(await asAdminOf(ctx, id), id, range)).map(toPoint),
    }),
  }),
];
