import { auditAccount } from "#domain/account/audit-account";
import { insertToken, makeLetterToken } from "#domain/account/letter-tokens";
import { deleteInactive, findUserByEmail, type User } from "#domain/account/repo";
import { ACTIVATION_LIFE_MS, SIGNUP_COOLDOWN_MS } from "#domain/account/values";
import { type Ctx, commit } from "#domain/context";
import { deliverMails } from "#domain/mail/deliver-mails";
import { queueMail, sealLetter } from "#domain/mail/queue-mail";
import { insertUser } from "#domain/principal/repo";
import { Fault } from "#kernel/fault";

/**
 * Makes an account that cannot log in until the letter's link was used. An e-mail that was signed up with before and
 * never activated is held for half an hour from then; after that the newer sign-up replaces the older one (R28).
 */
export async function signUp(ctx: Ctx, input: { email: string; password: string; name: string }): Promise<void> {
  const { email, password, name } = input;
  const [id, at] = [ctx.newId("user"), ctx.now()];
  refuseTaken(await findUserByEmail(ctx.db, email), at);
  const passwordHash = await ctx.passwords.hash(password);
  const { token, row } = await makeLetterToken(ctx, { kind: "activation", userId: id, lifeMs: ACTIVATION_LIFE_MS });
  const letter = await sealLetter(ctx, "activation", email, { token });
  try {
    const [forgetTokens, forgetUser] = deleteInactive(ctx.db, email, at - SIGNUP_COOLDOWN_MS);
    await commit(
      ctx.db,
      forgetTokens,
      forgetUser,
      insertUser(ctx.db, { id, email, name, passwordHash, status: "inactive", createdAt: at, updatedAt: at }),
      insertToken(ctx.db, row),
      queueMail(ctx.db, letter),
      auditAccount(ctx, "user.created", { id, name }),
    );
  } catch (error) {
    // Of two sign-ups at the same moment the unique e-mail lets one through.
    refuseTaken(await findUserByEmail(ctx.db, email), at);
    throw error;
  }
  ctx.defer(() => deliverMails(ctx));
}

function refuseTaken(holder: User | undefined, now: number): void {
  if (!holder) return;
  if (holder.status !== "inactive") throw new Fault("email_taken", "an account with this e-mail exists");
  if (holder.createdAt + SIGNUP_COOLDOWN_MS > now) {
    throw new Fault("signup_cooldown", "this e-mail was signed up with a short while ago; use the link in its letter");
  }
}
