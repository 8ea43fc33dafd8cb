import type { Role } from "#domain/actor";
import { audit } from "#domain/audit/audit";
import { type Actor, type Ctx, commit } from "#domain/context";
import { apiKeyPrefix, makeApiKey } from "#domain/principal/api-key";
import { insertApiKey } from "#domain/principal/repo";
import { sha256 } from "#kernel/digest";

export type IssuedKey = { id: string; key: string };

/**
 * Makes a key that acts for a user in a team, with that user's role. The caller has decided that it may be made. The
 * key itself is returned this once; its hash lives in the key's object.
 */
export async function issueApiKey(
  ctx: Ctx,
  input: { teamId: string; userId: string; role: Role; platformAdmin: boolean; name: string },
): Promise<IssuedKey> {
  const id = ctx.newId("apiKey");
  const key = makeApiKey(id);
  const { teamId, userId, role, platformAdmin, name } = input;
  const row = { id, teamId, createdBy: userId, name, prefix: apiKeyPrefix(key), createdAt: ctx.now() };
  const actor: Actor = {
    kind: "api_key",
    id,
    teamId,
    userId,
    role,
    platformAdmin,
    credentialId: id,
    subject: `user:${userId}`,
  };
  await commit(ctx.db, insertApiKey(ctx.db, row), audit(ctx, "api_key.created", id, { name }));
  await ctx.principals.principal(id).enrol({ id, secretHash: await sha256(key), actor, expiresAt: null });
  return { id, key };
}
