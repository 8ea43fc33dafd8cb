import { auditAccount } from "#domain/account/audit-account";
import { deleteTokens, insertToken, makeLetterToken } from "#domain/account/letter-tokens";
import { findUserByEmail } from "#domain/account/repo";
import { PASSWORD_RESET_LIFE_MS } from "#domain/account/values";
import { type Ctx, commit } from "#domain/context";
import { deliverMails } from "#domain/mail/deliver-mails";
import { queueMail, sealLetter } from "#domain/mail/queue-mail";

/**
 * Sends a letter that resets the password, to an active account alone. All of it comes after the answer, so that neither
 * answer nor time tells whether there is an account (platform R75, R76).
 */
export function requestPasswordReset(ctx: Ctx, email: string): void {
  ctx.defer(() => sendReset(ctx, email));
}

async function sendReset(ctx: Ctx, email: string): Promise<void> {
  const user = await findUserByEmail(ctx.db, email);
  if (user?.status !== "active") return;
  const wanted = { kind: "password_reset", userId: user.id, lifeMs: PASSWORD_RESET_LIFE_MS } as const;
  const { token, row } = await makeLetterToken(ctx, wanted);
  const letter = await sealLetter(ctx, "password_reset", user.email, { token });
  await commit(
    ctx.db,
    deleteTokens(ctx.db, user.id, "password_reset"),
    insertToken(ctx.db, row),
    queueMail(ctx.db, letter),
    auditAccount(ctx, "user.password_reset_requested", user),
  );
  await deliverMails(ctx);
}
