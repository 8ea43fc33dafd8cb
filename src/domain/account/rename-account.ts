import { auditAccount } from "#domain/account/audit-account";
import { ownAccount, updateUser } from "#domain/account/repo";
import { type Ctx, demand } from "#domain/context";
import { commitIdentity } from "#domain/principal/commit-identity";
import { userPrincipal } from "#domain/principal/values";

/** Changes what the user is called, everywhere from the next request on (platform R63, R64). */
export async function renameAccount(ctx: Ctx, name: string): Promise<void> {
  demand(ctx.actor, "account:write");
  const user = await ownAccount(ctx);
  await commitIdentity(
    ctx,
    [userPrincipal(user.id)],
    updateUser(ctx.db, user.id, { name, updatedAt: ctx.now() }),
    auditAccount(ctx, "user.renamed", { id: user.id, name }),
  );
}
