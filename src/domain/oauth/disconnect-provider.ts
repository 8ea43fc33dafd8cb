import { and, eq, exists, isNotNull, ne, or } from "drizzle-orm";
import { auditIfChanged } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { Fault } from "#kernel/fault";
import { userProviders, users } from "#schema";

/** Takes a provider from the caller's account, unless no other way to log in would be left (platform R99 to R101). */
export async function disconnectProvider(ctx: Ctx, provider: string): Promise<void> {
  demand(ctx.actor, "account:write");
  const { db, actor } = ctx;
  const userId = actor.userId ?? "";
  const [mine, other] = [eq(userProviders.userId, userId), ne(userProviders.provider, provider)];
  const password = db
    .select({ id: users.id })
    .from(users)
    .where(and(eq(users.id, userId), isNotNull(users.passwordHash)));
  const another = db.select({ subject: userProviders.subject }).from(userProviders).where(and(mine, other));
  const removed = await commit(
    db,
    db
      .delete(userProviders)
      .where(and(mine, eq(userProviders.provider, provider), or(exists(password), exists(another))))
      .returning({ subject: userProviders.subject }),
    auditIfChanged({ ...ctx, actor: { ...actor, teamId: "" } }, "user.provider_unlinked", userId, { provider }),
  );
  if (removed.length > 0) return;
  const [left] = await db
    .select({ subject: userProviders.subject })
    .from(userProviders)
    .where(and(mine, eq(userProviders.provider, provider)));
  if (!left) throw new Fault("provider_not_found", "this provider is not connected");
  throw new Fault("last_login_method", "it is the only way to log in; set a password first");
}
