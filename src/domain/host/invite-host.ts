import { audit } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { type Host, insertHost } from "#domain/host/repo";
import { newHostToken, REGISTRATION_TTL_MS } from "#domain/host/values";
import { Fault } from "#kernel/fault";

type Input = {
  type: Host["type"];
  /** The owner of a `byoc` host; must be absent for a host of the platform. */
  teamId?: string | null;
  provider?: string | null;
  availabilityZone?: string | null;
};

/** Makes the record of a new host and its one-time registration token, which is shown here and never again. */
export async function inviteHost(ctx: Ctx, input: Input): Promise<{ host: Host; registrationToken: string }> {
  demand(ctx.actor, "platform:setup");
  const teamId = input.teamId ?? null;
  if ((input.type === "byoc") !== (teamId !== null))
    throw new Fault("invalid", "a byoc host, and no other, has a team");
  const now = ctx.now();
  const host: Host = {
    id: ctx.newId("host"),
    teamId,
    type: input.type,
    status: "pending",
    provider: input.provider ?? null,
    availabilityZone: input.availabilityZone ?? null,
    address: null,
    arch: null,
    cpuCores: null,
    memoryMb: null,
    diskGb: null,
    capabilities: {},
    createdBy: ctx.actor.id,
    createdAt: now,
    updatedAt: now,
    lastHeartbeatAt: null,
  };
  const { token, hash } = await newHostToken("registration", host.id);
  await commit(ctx.db, insertHost(ctx.db, host), audit(ctx, "host.created", host.id, { type: host.type }));
  // A crash here leaves a pending host without a token, which nobody can use and which is invited anew.
  await ctx.hosts.host(host.id).invite({ hostId: host.id, tokenHash: hash, expiresAt: now + REGISTRATION_TTL_MS });
  return { host, registrationToken: token };
}
