import { auditAccount } from "#domain/account/audit-account";
import { type Ctx, commit, demand } from "#domain/context";

/** Ends the session that asks (platform R45). */
export async function logOut(ctx: Ctx): Promise<void> {
  demand(ctx.actor, "account:write");
  const { principal, credentialId } = ctx.actor;
  await commit(ctx.db, auditAccount(ctx, "user.logged_out", ctx.actor));
  if (credentialId !== null) await ctx.principals.principal(principal).revoke(credentialId);
}
