import { sql } from "drizzle-orm";
import { ownAccount, type User } from "#domain/account/repo";
import { setPassword } from "#domain/account/set-password";
import { type Ctx, demand } from "#domain/context";
import { Fault } from "#kernel/fault";
import { users } from "#schema";

type Input = { currentPassword: string | undefined; newPassword: string; confirmPassword: string | undefined };

/**
 * Changes the user's password, or gives one to a user who logs in by a provider alone. The first needs the current
 * password, the second the new one twice (platform R71 to R74).
 */
export async function changePassword(ctx: Ctx, { newPassword, ...proof }: Input): Promise<void> {
  demand(ctx.actor, "account:write");
  const user = await ownAccount(ctx);
  if (user.passwordHash === null) demandSame(newPassword, proof.confirmPassword);
  else await demandCurrent(ctx, user, proof.currentPassword);
  await setPassword(ctx, user, {
    password: newPassword,
    action: user.passwordHash === null ? "user.password_added" : "user.password_changed",
    onlyWhile: {
      holds: sql`EXISTS (SELECT 1 FROM ${users} WHERE ${users.id} = ${user.id} AND ${users.passwordHash} IS ${user.passwordHash})`,
      otherwise: "the password was changed at the same moment",
    },
  });
}

function demandSame(password: string, again: string | undefined): void {
  if (password !== again) throw new Fault("invalid", "confirm_password must be the same as new_password");
}

async function demandCurrent(ctx: Ctx, user: User, password: string | undefined): Promise<void> {
  if (password === undefined) throw new Fault("invalid", "current_password is required");
  if ((await ctx.passwords.verify(password, user.passwordHash)).ok) return;
  throw new Fault("wrong_password", "the current password is wrong");
}
