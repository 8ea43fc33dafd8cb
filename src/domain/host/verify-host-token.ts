import type { Actor } from "#domain/actor";
import type { HostClaims, HostPort } from "#domain/host/ports";
import { ok, type Result } from "#kernel/fault";

/** A host as the one who acts. A host of the platform belongs to no team, and no team's rows are its own. */
export function hostActor({ hostId, teamId, family }: HostClaims): Actor {
  return {
    kind: "host",
    id: hostId,
    name: hostId,
    teamId: teamId ?? "",
    userId: null,
    role: null,
    platformAdmin: false,
    credentialId: `${hostId}#${family}`,
    principal: "",
    subject: `host:${hostId}`,
  };
}

/** The actor of a host's JWT; `unauthenticated` when it is forged, expired or of a family that ended (T4, T5). */
export async function verifyHostToken(ports: { hosts: HostPort }, token: string): Promise<Result<Actor>> {
  const claims = await ports.hosts.tokens.read(token);
  if (!claims.ok) return claims;
  const live = await ports.hosts.host(claims.value.hostId).verify(claims.value.family);
  return live.ok ? ok(hostActor(claims.value)) : live;
}
