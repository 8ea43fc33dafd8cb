import { eq } from "drizzle-orm";
import { auditAccount } from "#domain/account/audit-account";
import { firstTeam } from "#domain/account/first-team";
import { findUser, findUserByEmail, type User, updateUser } from "#domain/account/repo";
import { type SignedIn, signIn } from "#domain/account/sign-in";
import { type Ctx, commit } from "#domain/context";
import type { Device } from "#domain/principal/ports";
import { userPrincipal } from "#domain/principal/values";
import { sha256 } from "#kernel/digest";
import { Fault } from "#kernel/fault";
import { users } from "#schema";

type Credentials = { email: string; password: string };

/**
 * Logs a user in by e-mail and password. A wrong password, an unknown e-mail, an account without a password and a
 * deleted one are the same refusal after the same work; only who knows the password learns that an account waits for
 * its activation or was disabled (platform R37 to R39).
 */
export async function logIn(ctx: Ctx, { device, ...credentials }: Credentials & { device: Device }): Promise<SignedIn> {
  const { user, hashes } = await verify(ctx, credentials);
  const team = await firstTeam(ctx, user);
  await commit(ctx.db, auditAccount(ctx, "user.logged_in", user));
  const signedIn = await signIn(ctx, user, team, device);
  await demandUnchanged(ctx, user, hashes, signedIn.token);
  return signedIn;
}

async function verify(ctx: Ctx, { email, password }: Credentials): Promise<{ user: User; hashes: string[] }> {
  const user = await findUserByEmail(ctx.db, email);
  const stored = user?.passwordHash ?? null;
  const { ok, stale } = await ctx.passwords.verify(password, stored);
  if (!ok || !user || stored === null || user.status === "deleted") {
    // Deferred, so that the time of the answer does not tell whether there is an account to note it for.
    if (user) ctx.defer(() => commit(ctx.db, auditAccount(ctx, "user.logged_in", user, { refused: true })));
    throw new Fault("unauthenticated", "the e-mail or the password is wrong");
  }
  if (user.status === "inactive") {
    throw new Fault("account_not_activated", "the account waits for its activation; use the link in the letter");
  }
  if (user.status === "disabled") throw new Fault("account_disabled", "the account is disabled");
  return { user, hashes: stale ? [stored, await renewHash(ctx, user.id, password, stored)] : [stored] };
}

/** Hashes anew what was hashed with older parameters. */
async function renewHash(ctx: Ctx, userId: string, password: string, stored: string): Promise<string> {
  const passwordHash = await ctx.passwords.hash(password);
  await commit(ctx.db, updateUser(ctx.db, userId, { passwordHash }, eq(users.passwordHash, stored)));
  return passwordHash;
}

/** A change of the password ends all sessions; one that came while this session began may have missed it. */
async function demandUnchanged(ctx: Ctx, user: User, hashes: string[], token: string): Promise<void> {
  const now = await findUser(ctx.db, user.id);
  if (now?.status === "active" && hashes.includes(now.passwordHash ?? "")) return;
  await ctx.principals.principal(userPrincipal(user.id)).revoke(await sha256(token));
  throw new Fault("unauthenticated", "the e-mail or the password is wrong");
}
