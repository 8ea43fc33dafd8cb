import { auditAccount } from "#domain/account/audit-account";
import { type Ctx, commit, demand } from "#domain/context";

/** Ends one of the user's own sessions; an id that is none of theirs counts as ended (platform R54, R55). */
export async function revokeSession(ctx: Ctx, id: string): Promise<void> {
  demand(ctx.actor, "account:write");
  const principal = ctx.principals.principal(ctx.actor.principal);
  if (!(await principal.list()).some((session) => session.id === id)) return;
  await commit(ctx.db, auditAccount(ctx, "user.session_revoked", ctx.actor));
  await principal.revoke(id);
}
