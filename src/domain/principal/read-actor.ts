import { and, eq, isNull } from "drizzle-orm";
import type { Actor } from "#domain/actor";
import type { Db } from "#domain/context";
import type { Grant } from "#domain/principal/ports";
import { keyPrincipal, userPrincipal } from "#domain/principal/values";
import { apiKeys, memberships, teams, users } from "#schema";

/**
 * Who a credential acts for at this moment, by the directory; undefined when its user is not active. A session whose
 * team is gone, or which its user left, goes on without a team (platform R128, R137). A key does not, nor does a key
 * whose row was revoked.
 */
export async function readActor(
  db: Db,
  { id, secretHash, grant }: { id: string; secretHash: string; grant: Grant },
): Promise<Actor | undefined> {
  if (grant.kind === "fixed") return grant.actor;
  const { userId, teamId } = grant;
  const keyId = grant.kind === "api_key" ? grant.keyId : "";
  const [row] = await db
    .select({
      name: users.name,
      status: users.status,
      platformAdmin: users.isPlatformAdmin,
      role: memberships.role,
      team: teams.id,
      key: apiKeys.id,
    })
    .from(users)
    .leftJoin(memberships, and(eq(memberships.userId, users.id), eq(memberships.teamId, teamId)))
    .leftJoin(teams, and(eq(teams.id, memberships.teamId), isNull(teams.deletedAt)))
    .leftJoin(apiKeys, and(eq(apiKeys.id, keyId), eq(apiKeys.secretHash, secretHash), isNull(apiKeys.revokedAt)))
    .where(eq(users.id, userId));
  if (row?.status !== "active") return undefined;
  const member = row.team !== null && row.role !== null;
  const person = { userId, subject: `user:${userId}`, credentialId: id, role: member ? row.role : null };
  if (grant.kind === "session") {
    const { platformAdmin, name } = row;
    const team = member ? teamId : "";
    return { ...person, kind: "user", id: userId, name, teamId: team, platformAdmin, principal: userPrincipal(userId) };
  }
  if (!member || row.key === null) return undefined;
  const principal = keyPrincipal(secretHash);
  return { ...person, kind: "api_key", id: keyId, name: grant.keyName, teamId, platformAdmin: false, principal };
}
