import { auditAccount } from "#domain/account/audit-account";
import { firstTeam } from "#domain/account/first-team";
import { signIn } from "#domain/account/sign-in";
import { type Ctx, commit } from "#domain/context";
import { createUserOfIdentity } from "#domain/oauth/create-user";
import type { OAuthIdentity } from "#domain/oauth/ports";
import { findUserOfIdentity } from "#domain/oauth/repo";
import { LoginRefused } from "#domain/oauth/values";
import type { Device } from "#domain/principal/ports";

type Login = { provider: string; identity: OAuthIdentity; knownOnly: boolean; device: Device };

/** Begins a session of the user whom an identity belongs to, or of a new one, and returns its secret (R90, R91, R93). */
export async function logInByIdentity(ctx: Ctx, { provider, identity, knownOnly, device }: Login): Promise<string> {
  const known = await findUserOfIdentity(ctx.db, provider, identity.subject);
  if (!known && knownOnly) throw new LoginRefused("access_denied", "nobody has this identity");
  const user = known ?? (await createUserOfIdentity(ctx, provider, identity));
  if (user.status !== "active") throw new LoginRefused("access_denied", `the account is ${user.status}`);
  const team = await firstTeam(ctx, user);
  await commit(ctx.db, auditAccount(ctx, "user.logged_in", user));
  return (await signIn(ctx, user, team, device)).token;
}
