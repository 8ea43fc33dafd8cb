import type { SQL } from "drizzle-orm";
import { auditAccount } from "#domain/account/audit-account";
import { deleteTokens } from "#domain/account/letter-tokens";
import { type User, updateUser } from "#domain/account/repo";
import type { AuditAction } from "#domain/audit/audit";
import { onlyIf, refuseUnmet } from "#domain/conditional";
import { type Ctx, commit } from "#domain/context";
import { deliverMails } from "#domain/mail/deliver-mails";
import { queueMail, sealLetter } from "#domain/mail/queue-mail";
import { userPrincipal } from "#domain/principal/values";

type Change = { password: string; action: AuditAction; onlyWhile: { holds: SQL; otherwise: string } };

/**
 * Gives a user another password, as long as `onlyWhile` holds, else throws `invalid_token`. All sessions of the user end
 * and letters that would set a password work no more; the user is told by letter (platform R48).
 */
export async function setPassword(ctx: Ctx, user: User, { password, action, onlyWhile }: Change): Promise<void> {
  const [passwordHash, letter] = [
    await ctx.passwords.hash(password),
    await sealLetter(ctx, "password_changed", user.email, {}),
  ];
  const sessions = ctx.principals.principal(userPrincipal(user.id));
  // Before, so that a crash leaves none alive; and after, because a login by the old password may come between.
  await sessions.revokeAll();
  await commit(
    ctx.db,
    onlyIf(ctx.db, onlyWhile.holds, "invalid_token"),
    deleteTokens(ctx.db, user.id, "password_reset"),
    updateUser(ctx.db, user.id, { passwordHash, updatedAt: ctx.now() }),
    queueMail(ctx.db, letter),
    auditAccount(ctx, action, user),
  ).catch(refuseUnmet({ invalid_token: onlyWhile.otherwise }));
  await sessions.revokeAll();
  ctx.defer(() => deliverMails(ctx));
}
