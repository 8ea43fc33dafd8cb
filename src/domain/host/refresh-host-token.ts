import { audit } from "#domain/audit/audit";
import { type Ctx, commit } from "#domain/context";
import type { HostSession } from "#domain/host/register-host";
import { findHost } from "#domain/host/repo";
import { newHostToken, REFRESH_TTL_MS, readHostToken } from "#domain/host/values";
import { hostActor } from "#domain/host/verify-host-token";
import { Fault, unwrap } from "#kernel/fault";

/**
 * Exchanges a host's refresh token for a new JWT and a new refresh token. The refresh token is the credential;
 * `unauthenticated` when it is wrong, expired or was exchanged before, which also ends all tokens of the host (T5).
 */
export async function refreshHostToken(ctx: Ctx, refreshToken: string): Promise<HostSession> {
  const presented = await readHostToken("refresh", refreshToken);
  const host = presented && (await findHost(ctx.db, presented.hostId));
  if (!presented || !host) throw new Fault("unauthenticated", "the refresh token is wrong, used or expired");
  const next = await newHostToken("refresh", host.id);
  const grant = { tokenHash: next.hash, expiresAt: ctx.now() + REFRESH_TTL_MS };
  const rotated = await ctx.hosts.host(host.id).rotate(presented.hash, grant);
  const claims = { hostId: host.id, teamId: host.teamId };
  if (!rotated.ok && rotated.details?.reused) {
    const actor = hostActor({ ...claims, family: 0 });
    await commit(ctx.db, audit({ ...ctx, actor }, "host.refresh_token_reused", host.id));
    throw new Fault(rotated.code, rotated.message);
  }
  const { family } = unwrap(rotated);
  const actor = hostActor({ ...claims, family });
  await commit(ctx.db, audit({ ...ctx, actor }, "host.token_refreshed", host.id));
  const token = await ctx.hosts.tokens.issue({ ...claims, family });
  return { host, token, refreshToken: next.token, controlKeys: await ctx.hosts.tokens.controlKeys() };
}
