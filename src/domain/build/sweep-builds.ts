import { listOpenBuilds } from "#domain/build/repo";
import { type Ctx, demand } from "#domain/context";
import { MINUTE } from "#kernel/time";

const STALE_AFTER_MS = MINUTE;
const MAX_AT_ONCE = 100;

/** Sees to it that every build that is not over goes on, also one whose beginning was cut off. */
export async function sweepBuilds(ctx: Ctx): Promise<void> {
  demand(ctx.actor, "platform:admin");
  const open = await listOpenBuilds(ctx.db, ctx.now() - STALE_AFTER_MS, MAX_AT_ONCE);
  for (const woken of await Promise.allSettled(open.map((id) => ctx.builds.build(id).nudge()))) {
    if (woken.status === "rejected") ctx.log.error("a build could not be woken", { error: woken.reason });
  }
}
