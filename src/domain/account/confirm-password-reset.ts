import { findTokenUser, tokenIsLive } from "#domain/account/letter-tokens";
import { setPassword } from "#domain/account/set-password";
import type { Ctx } from "#domain/context";
import { sha256 } from "#kernel/digest";
import { Fault } from "#kernel/fault";

const REFUSAL = "the reset token is not valid or has expired";

/** Sets a new password with the secret of a letter, once; all sessions end (platform R77 to R80). */
export async function confirmPasswordReset(ctx: Ctx, input: { token: string; password: string }): Promise<void> {
  const kept = { hash: await sha256(input.token), kind: "password_reset" } as const;
  const user = await findTokenUser(ctx.db, kept, ctx.now());
  if (user?.status !== "active") throw new Fault("invalid_token", REFUSAL);
  await setPassword(ctx, user, {
    password: input.password,
    action: "user.password_reset",
    onlyWhile: { holds: tokenIsLive(kept, ctx.now()), otherwise: REFUSAL },
  });
}
