import { auditAccount } from "#domain/account/audit-account";
import { type Ctx, commit, demand } from "#domain/context";

/** Ends every session of the user, on all devices (platform R47). */
export async function logOutEverywhere(ctx: Ctx): Promise<void> {
  demand(ctx.actor, "account:write");
  await commit(ctx.db, auditAccount(ctx, "user.logged_out_everywhere", ctx.actor));
  await ctx.principals.principal(ctx.actor.principal).revokeAll();
}
