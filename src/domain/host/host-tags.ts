import { and, asc, eq } from "drizzle-orm";
import { audit } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { inTeamOf } from "#domain/host/create-host";
import { getManagedHost, getVisibleHost } from "#domain/host/visible-host";
import { hostTags } from "#schema";

/** The labels of a host, sorted (platform R331). */
export async function listHostTags(ctx: Ctx, hostId: string): Promise<string[]> {
  demand(ctx.actor, "host:read");
  await getVisibleHost(ctx, hostId);
  const rows = await ctx.db.select().from(hostTags).where(eq(hostTags.hostId, hostId)).orderBy(asc(hostTags.tag));
  return rows.map(({ tag }) => tag);
}

/** Puts a label on a host; safe to repeat. */
export async function addHostTag(ctx: Ctx, hostId: string, tag: string): Promise<void> {
  demand(ctx.actor, "host:write");
  const host = await getManagedHost(ctx, hostId);
  const insert = ctx.db.insert(hostTags).values({ hostId, tag }).onConflictDoNothing();
  await commit(ctx.db, insert, audit(inTeamOf(ctx, host), "host.tag_added", hostId, { tag }));
}

/** Takes a label off a host; one that is not there is fine. */
export async function removeHostTag(ctx: Ctx, hostId: string, tag: string): Promise<void> {
  demand(ctx.actor, "host:write");
  const host = await getManagedHost(ctx, hostId);
  const remove = ctx.db.delete(hostTags).where(and(eq(hostTags.hostId, hostId), eq(hostTags.tag, tag)));
  await commit(ctx.db, remove, audit(inTeamOf(ctx, host), "host.tag_removed", hostId, { tag }));
}
