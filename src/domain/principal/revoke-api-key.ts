import { auditIfChanged } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { findApiKey, revokeApiKeyRow } from "#domain/principal/repo";
import { keyPrincipal } from "#domain/principal/values";

/**
 * Ends a key of the active team for good. One that the team does not have counts as ended (platform R111). The
 * credential goes first and the row last, so a call that was cut short can be repeated.
 */
export async function revokeApiKey(ctx: Ctx, id: string): Promise<void> {
  demand(ctx.actor, "key:write");
  const key = await findApiKey(ctx.db, ctx.actor.teamId, id);
  if (!key) return;
  await ctx.principals.principal(keyPrincipal(key.secretHash)).revoke(key.id);
  const revoked = revokeApiKeyRow(ctx.db, key, ctx.now());
  await commit(ctx.db, revoked, auditIfChanged(ctx, "api_key.revoked", key.id, { name: key.name }));
}
