import { and, eq, inArray, lt, or } from "drizzle-orm";
import { type Ctx, demand } from "#domain/context";
import { MINUTE } from "#kernel/time";
import { hosts, sandboxes } from "#schema";

/** Every transition of a sandbox ends, and every live host reports, well within this. */
const STALE_AFTER_MS = 5 * MINUTE;
const MAX_EACH = 100;

/** Wakes the objects of sandboxes and hosts whose alarm should have moved them on long ago. Answers how many. */
export async function sweepPlaces(ctx: Ctx): Promise<number> {
  demand(ctx.actor, "sandbox:write");
  const before = ctx.now() - STALE_AFTER_MS;
  const moving = await ctx.db
    .select({ id: sandboxes.id })
    .from(sandboxes)
    .where(
      and(inArray(sandboxes.status, ["starting", "pausing", "resuming", "stopping"]), lt(sandboxes.updatedAt, before)),
    )
    .limit(MAX_EACH);
  const silent = await ctx.db
    .select({ id: hosts.id })
    .from(hosts)
    .where(and(eq(hosts.status, "online"), or(lt(hosts.lastHeartbeatAt, before), lt(hosts.updatedAt, before))))
    .limit(MAX_EACH);
  const woken = await Promise.allSettled([
    ...moving.map(({ id }) => ctx.sandboxes.sandbox(id).nudge()),
    ...silent.map(({ id }) => ctx.hosts.host(id).nudge()),
  ]);
  for (const result of woken) {
    if (result.status === "rejected") ctx.log.error("an object could not be woken", { error: result.reason });
  }
  return woken.length;
}
