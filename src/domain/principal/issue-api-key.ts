import { audit } from "#domain/audit/audit";
import { type Ctx, commit } from "#domain/context";
import { insertApiKey } from "#domain/principal/repo";
import { apiKeyPrefix, keyPrincipal, makeApiKey } from "#domain/principal/values";
import { sha256 } from "#kernel/digest";

export type IssuedKey = { id: string; key: string; name: string; prefix: string; createdAt: number };

/**
 * Makes a key that acts for a user in a team, with the role the user has there. The caller has decided that it may be
 * made. The key itself is returned this once; only its hash is kept.
 */
export async function issueApiKey(
  ctx: Ctx,
  input: { teamId: string; userId: string; name: string },
): Promise<IssuedKey> {
  const { teamId, userId, name } = input;
  const [id, key, createdAt] = [ctx.newId("apiKey"), makeApiKey(), ctx.now()];
  const [prefix, secretHash] = [apiKeyPrefix(key), await sha256(key)];
  const row = { id, teamId, createdBy: userId, name, prefix, secretHash, createdAt };
  await commit(ctx.db, insertApiKey(ctx.db, row), audit(ctx, "api_key.created", id, { name }));
  const grant = { kind: "api_key", keyId: id, keyName: name, userId, teamId } as const;
  const enrolment = { id, secretHash, grant, createdAt, expiresAt: null, idleMs: null, device: null };
  await ctx.principals.principal(keyPrincipal(secretHash)).enrol(enrolment);
  return { id, key, name, prefix, createdAt };
}
