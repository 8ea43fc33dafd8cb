import { desc } from "drizzle-orm";
import { type Ctx, demand } from "#domain/context";
import type { Host } from "#domain/host/repo";
import { visibleTo } from "#domain/host/visible-host";
import { hosts } from "#schema";

/** The hosts somebody may see, newest first (platform R310). */
export async function listHosts(ctx: Ctx): Promise<Host[]> {
  demand(ctx.actor, "host:read");
  return ctx.db.select().from(hosts).where(visibleTo(ctx.actor)).orderBy(desc(hosts.createdAt), desc(hosts.id));
}
