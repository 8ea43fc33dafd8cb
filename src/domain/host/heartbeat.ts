import { type Ctx, demand } from "#domain/context";
import { Fault, unwrap } from "#kernel/fault";

/** A host's sign of life. `forbidden` in the name of another host. */
export async function heartbeat(ctx: Ctx, hostId: string): Promise<void> {
  demand(ctx.actor, "host:report");
  if (ctx.actor.id !== hostId) throw new Fault("forbidden", "a host reports for itself only");
  unwrap(await ctx.hosts.host(hostId).beat());
}
