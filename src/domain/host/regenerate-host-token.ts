import { audit } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { type InvitedHost, inTeamOf, invite } from "#domain/host/create-host";
import { demandManagedHost } from "#domain/host/visible-host";
import { Fault } from "#kernel/fault";

/** Another registration token for a host that has not registered yet; `conflict` for one that has (platform R319). */
export async function regenerateHostToken(ctx: Ctx, id: string): Promise<InvitedHost> {
  demand(ctx.actor, "host:write");
  const host = await demandManagedHost(ctx, id);
  if (host.status !== "pending") throw new Fault("conflict", "the host has registered already");
  await commit(ctx.db, audit(inTeamOf(ctx, host), "host.token_regenerated", id));
  return { host, registrationToken: await invite(ctx, id) };
}
