import { and, eq, sql } from "drizzle-orm";
import { NOBODY } from "#domain/actor";
import { auditIfChanged } from "#domain/audit/audit";
import { insertWhere } from "#domain/conditional";
import { type Ctx, commit } from "#domain/context";
import type { OAuthIdentity } from "#domain/oauth/ports";
import { findUserOfIdentity } from "#domain/oauth/repo";
import { type Link, LoginRefused } from "#domain/oauth/values";
import { userPrincipal } from "#domain/principal/values";
import { userProviders, users } from "#schema";

/**
 * Gives an account another way to log in, if the session that asked for it is still alive. An identity belongs to one
 * account; linking it to the same one again is a success (platform R96, R97).
 */
export async function linkIdentity(
  ctx: Ctx,
  { provider, identity, link }: { provider: string; identity: OAuthIdentity; link: Link },
): Promise<void> {
  const { userId, sessionId } = link;
  const live = await ctx.principals.principal(userPrincipal(userId)).list();
  if (!live.some(({ id }) => id === sessionId)) throw new LoginRefused("access_denied", "the session has ended");
  const { subject, email } = identity;
  const row = { provider, subject, userId, email, createdAt: ctx.now() };
  const active = ctx.db
    .select({ one: sql`1` })
    .from(users)
    .where(and(eq(users.id, userId), eq(users.status, "active")));
  const linked = await commit(
    ctx.db,
    insertWhere(ctx.db, userProviders, row, sql`EXISTS ${active}`)
      .onConflictDoNothing()
      .returning({ userId: userProviders.userId }),
    auditIfChanged({ ...ctx, actor: ownerOf(link) }, "user.provider_linked", userId, { provider }),
  );
  if (linked.length > 0) return;
  const owner = await findUserOfIdentity(ctx.db, provider, subject);
  if (owner?.id === userId) return;
  if (owner) throw new LoginRefused("email_taken", "the identity belongs to another account");
  throw new LoginRefused("access_denied", "the account is not active or has another identity of this provider");
}

/** Who acts: the session's cookies are not sent across sites, so the request itself has no actor. */
const ownerOf = ({ userId, sessionId, name }: Link) =>
  ({ ...NOBODY, kind: "user", id: userId, name, userId, credentialId: sessionId }) as const;
