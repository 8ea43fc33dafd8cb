import { auditAccount } from "#domain/account/audit-account";
import { becomeActive } from "#domain/account/become-active";
import { deleteInactive, findUser, findUserByEmail, type User } from "#domain/account/repo";
import { Email } from "#domain/account/values";
import { type Ctx, commit } from "#domain/context";
import type { OAuthIdentity } from "#domain/oauth/ports";
import { findUserOfIdentity, insertIdentity } from "#domain/oauth/repo";
import { LoginRefused } from "#domain/oauth/values";
import { insertUser } from "#domain/principal/repo";

/**
 * Makes an account for an identity that has none, active from the beginning, with a team (platform R91). Its e-mail is
 * one that the provider has verified, so a sign-up with it that nobody ever activated gives way (R90).
 */
export async function createUserOfIdentity(ctx: Ctx, provider: string, identity: OAuthIdentity): Promise<User> {
  const { subject, name } = identity;
  const email = Email.safeParse(identity.email);
  if (!email.success) throw new LoginRefused("access_denied", "the provider has no verified primary e-mail");
  const person = { id: ctx.newId("user"), name };
  const at = ctx.now();
  const row = { ...person, email: email.data, status: "inactive", createdAt: at, updatedAt: at } as const;
  try {
    await commit(
      ctx.db,
      ...deleteInactive(ctx.db, row.email, at),
      insertUser(ctx.db, row),
      insertIdentity(ctx.db, { provider, subject, userId: person.id, email: row.email, createdAt: at }),
      auditAccount(ctx, "user.created", person),
      ...becomeActive(ctx, person).statements,
    );
  } catch (error) {
    // Another browser may just have made the same account; then there is one to log in to.
    const winner = await findUserOfIdentity(ctx.db, provider, subject);
    if (winner) return winner;
    if (await findUserByEmail(ctx.db, row.email)) throw new LoginRefused("email_taken", "the e-mail has an account");
    throw error;
  }
  const user = await findUser(ctx.db, person.id);
  if (!user) throw new Error("the account is gone again");
  return user;
}
