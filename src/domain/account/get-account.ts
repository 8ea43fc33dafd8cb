import { asc, eq } from "drizzle-orm";
import { ownAccount, type User } from "#domain/account/repo";
import { type Ctx, demand } from "#domain/context";
import { userProviders } from "#schema";

export type Account = { user: User; providers: string[] };

/** The user's own account and the providers that log it in (platform R61, R62). */
export async function getAccount(ctx: Ctx): Promise<Account> {
  demand(ctx.actor, "account:read");
  const user = await ownAccount(ctx);
  const linked = await ctx.db
    .select({ provider: userProviders.provider })
    .from(userProviders)
    .where(eq(userProviders.userId, user.id))
    .orderBy(asc(userProviders.provider));
  return { user, providers: linked.map(({ provider }) => provider) };
}
