import { audit } from "#domain/audit/audit";
import { type Ctx, commit } from "#domain/context";
import { demandAddress } from "#domain/host/heartbeat";
import { findHost, type Host, updateHost } from "#domain/host/repo";
import { newHostToken, REFRESH_TTL_MS, readHostToken } from "#domain/host/values";
import { hostActor } from "#domain/host/verify-host-token";
import { Fault, unwrap } from "#kernel/fault";
import type { JsonObject } from "#kernel/json";

type Input = {
  token: string;
  address: string;
  arch?: string | undefined;
  cpuCores?: number | undefined;
  memoryMb?: number | undefined;
  diskGb?: number | undefined;
  capabilities?: Record<string, unknown> | undefined;
};

export type HostSession = { host: Host; token: string; refreshToken: string; controlKeys: JsonObject[] };

/**
 * A host agent's first call: takes the registration token, once, stores what the machine is and makes the host
 * online. Needs no other credential; `unauthenticated` for a token that is wrong, used or expired.
 */
export async function registerHost(ctx: Ctx, input: Input): Promise<HostSession> {
  const presented = await readHostToken("registration", input.token);
  const found = presented && (await findHost(ctx.db, presented.hostId));
  if (!presented || !found) throw new Fault("unauthenticated", "the registration token is wrong, used or expired");
  demandAddress(input.address, found.type === "byoc");

  const now = ctx.now();
  const handle = ctx.hosts.host(found.id);
  const next = await newHostToken("refresh", found.id);
  const redeemed = await handle.redeem(presented.hash, { tokenHash: next.hash, expiresAt: now + REFRESH_TTL_MS });
  const { family } = unwrap(redeemed);
  const host: Host = {
    ...found,
    status: "online",
    address: input.address,
    arch: input.arch ?? null,
    cpuCores: input.cpuCores ?? null,
    memoryMb: input.memoryMb ?? null,
    diskGb: input.diskGb ?? null,
    capabilities: input.capabilities ?? {},
    updatedAt: now,
  };
  const { id, teamId, ...patch } = host;
  const actor = hostActor({ hostId: id, teamId, family });
  await commit(ctx.db, updateHost(ctx.db, id, patch), audit({ ...ctx, actor }, "host.registered", id));
  const token = await ctx.hosts.tokens.issue({ hostId: id, teamId, family });
  return { host, token, refreshToken: next.token, controlKeys: await ctx.hosts.tokens.controlKeys() };
}
