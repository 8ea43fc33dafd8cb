import { type Ctx, demand } from "#domain/context";
import type { ListedCredential } from "#domain/principal/ports";

export type ListedSession = ListedCredential & { current: boolean };

/** The live sessions of the user, last used first (platform R50 to R53). */
export async function listSessions(ctx: Ctx): Promise<ListedSession[]> {
  demand(ctx.actor, "account:read");
  const sessions = await ctx.principals.principal(ctx.actor.principal).list();
  return sessions.map((session) => ({ ...session, current: session.id === ctx.actor.credentialId }));
}
