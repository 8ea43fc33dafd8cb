import { type Ctx, demand } from "#domain/context";
import { agentUrl } from "#domain/host/values";
import { Fault, unwrap } from "#kernel/fault";

/**
 * A host's sign of life, and its address where that changed since it registered. `forbidden` in the name of another
 * host; `invalid` for an address that a host of its kind may not have.
 */
export async function heartbeat(ctx: Ctx, hostId: string, address?: string): Promise<void> {
  demand(ctx.actor, "host:report");
  if (ctx.actor.id !== hostId) throw new Fault("forbidden", "a host reports for itself only");
  if (address !== undefined) demandAddress(address, ctx.actor.teamId !== "");
  unwrap(await ctx.hosts.host(hostId).beat(address));
}

/** A team must not point the control plane at services of the machine it runs on. */
export function demandAddress(address: string, ofTeam: boolean): void {
  const url = agentUrl(address);
  if (!url) throw new Fault("invalid", "address must be host:port or an https origin");
  if (url.loopback && ofTeam) throw new Fault("invalid", "a byoc host needs an address of its own");
}
