import { becomeActive } from "#domain/account/become-active";
import { deleteTokens, findTokenUser, tokenIsLive } from "#domain/account/letter-tokens";
import { findUser } from "#domain/account/repo";
import { type SignedIn, signIn } from "#domain/account/sign-in";
import { onlyIf, refuseUnmet } from "#domain/conditional";
import { type Ctx, commit } from "#domain/context";
import type { Device } from "#domain/principal/ports";
import { sha256 } from "#kernel/digest";
import { Fault } from "#kernel/fault";

const REFUSAL = "the activation token is not valid or has expired";

/** Makes an account usable with the secret of its letter, once, and logs its user in. */
export async function activate(ctx: Ctx, input: { token: string; device: Device }): Promise<SignedIn> {
  const kept = { hash: await sha256(input.token), kind: "activation" } as const;
  const found = await findTokenUser(ctx.db, kept, ctx.now());
  if (found?.status !== "inactive") throw new Fault("invalid_token", REFUSAL);
  const { teamId, statements } = becomeActive(ctx, found);
  await commit(
    ctx.db,
    onlyIf(ctx.db, tokenIsLive(kept, ctx.now()), "invalid_token"),
    deleteTokens(ctx.db, found.id, "activation"),
    ...statements,
  ).catch(refuseUnmet({ invalid_token: REFUSAL }));
  const user = (await findUser(ctx.db, found.id)) ?? found;
  return signIn(ctx, user, { teamId, role: "owner" }, input.device);
}
