import { type Ctx, demand } from "#domain/context";
import { type IssuedKey, issueApiKey } from "#domain/principal/issue-api-key";
import { countApiKeys } from "#domain/principal/repo";
import { keyPrincipal } from "#domain/principal/values";
import { sha256 } from "#kernel/digest";
import { Fault } from "#kernel/fault";

export const UNNAMED_KEY = "Unnamed API Key";
/** Live keys of a team; the list shows them all at once. */
const MAX_KEYS = 1_000;

/**
 * Makes a key of the caller's for the active team; without a name it is called "Unnamed API Key" (platform R103).
 * `invalid` for a team that has very many.
 */
export async function createApiKey(ctx: Ctx, { name }: { name: string }): Promise<IssuedKey> {
  demand(ctx.actor, "key:write");
  const { teamId, userId } = ctx.actor;
  if (userId === null) throw new Fault("forbidden", "a key belongs to a user");
  if ((await countApiKeys(ctx.db, teamId)) >= MAX_KEYS) {
    throw new Fault("invalid", `the team has ${MAX_KEYS} keys; revoke some first`);
  }
  const issued = await issueApiKey(ctx, { teamId, userId, name: name.trim() || UNNAMED_KEY });
  // A change of the user's role that is under way was begun without this key, so the key looks for itself for a while.
  await ctx.principals.principal(keyPrincipal(await sha256(issued.key))).distrust();
  return issued;
}
