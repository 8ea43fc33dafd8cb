import { type Ctx, demand } from "#domain/context";
import { cutPoints } from "#domain/metrics/points";
import { type MetricRange, RANGES } from "#domain/metrics/values";
import { getSandbox } from "#domain/sandbox/get-sandbox";
import { unwrap } from "#kernel/fault";
import type { MetricPoint } from "#protocol/host-agent";

/**
 * What a sandbox used, oldest first. Of one that runs these are the last minutes or hours, of a paused one those before
 * its newest point, so that they stay readable however long the pause lasts (platform R271). Others have none:
 * `metrics_not_found`.
 */
export async function getMetrics(ctx: Ctx, id: string, range: MetricRange): Promise<MetricPoint[]> {
  demand(ctx.actor, "sandbox:read");
  const sandbox = await getSandbox(ctx, id);
  const { tier, windowMs } = RANGES[range];
  const { points, live } = unwrap(await ctx.sandboxes.sandbox(sandbox.id).metrics(ctx.actor.teamId, tier));
  return cutPoints(points, windowMs, live ? ctx.now() : undefined);
}
