import { and, eq, exists, inArray, or } from "drizzle-orm";
import { auditIfChanged } from "#domain/audit/audit";
import { type Ctx, commit, type Db, demand } from "#domain/context";
import { inTeamOf } from "#domain/host/create-host";
import type { Host } from "#domain/host/repo";
import { demandManagedHost, getManagedHost } from "#domain/host/visible-host";
import { initiatorOf } from "#domain/sandbox/initiator";
import { LIVE_STATUSES, type SandboxStatus } from "#domain/sandbox/status";
import { Fault, unwrap } from "#kernel/fault";
import { hosts, hostTags, sandboxes, workspaces } from "#schema";

const ACTIVE: SandboxStatus[] = [...LIVE_STATUSES, "stopping"];
const AT_ONCE = 20;

export type HostDeletion = { host: Host; sandboxIds: string[] };

/** What a forced deletion would destroy; changes nothing (platform R330). */
export async function previewHostDeletion(ctx: Ctx, id: string): Promise<HostDeletion> {
  demand(ctx.actor, "host:read");
  const host = await getManagedHost(ctx, id);
  return { host, sandboxIds: (await listHeldSandboxes(ctx.db, id)).map((one) => one.id) };
}

/**
 * Deletes a host. While it holds sandboxes that is refused with `host_has_sandboxes`, unless it is forced: then they and
 * their files are destroyed first. The host's tokens are worth nothing afterwards, and its agent ends what still runs.
 */
export async function deleteHost(ctx: Ctx, id: string, { force }: { force: boolean }): Promise<void> {
  demand(ctx.actor, "host:write");
  const host = await demandManagedHost(ctx, id);
  const held = await listHeldSandboxes(ctx.db, id);
  if (held.length > 0 && !force) {
    const sandboxIds = held.map((one) => one.id);
    throw new Fault("host_has_sandboxes", `${held.length} sandboxes are on this host`, { sandboxIds });
  }
  for (let i = 0; i < held.length; i += AT_ONCE) {
    const some = held.slice(i, i + AT_ONCE);
    await Promise.all(
      some.map(async (one) => unwrap(await ctx.sandboxes.sandbox(one.id).destroy(one.teamId, initiatorOf(ctx)))),
    );
  }
  // First, because a deletion that is cut here can be asked for again.
  await ctx.hosts.host(id).retire();
  await commit(
    ctx.db,
    ctx.db.delete(hosts).where(eq(hosts.id, id)),
    auditIfChanged(inTeamOf(ctx, host), "host.deleted", id, { sandboxes: held.length }),
    ctx.db.delete(hostTags).where(eq(hostTags.hostId, id)),
  );
}

/** Sandboxes that use the host, and those at rest there that carry a workspace's files. */
async function listHeldSandboxes(db: Db, hostId: string): Promise<{ id: string; teamId: string }[]> {
  const carries = db.select({ id: workspaces.id }).from(workspaces).where(eq(workspaces.sandboxId, sandboxes.id));
  return db
    .select({ id: sandboxes.id, teamId: sandboxes.teamId })
    .from(sandboxes)
    .where(and(eq(sandboxes.hostId, hostId), or(inArray(sandboxes.status, ACTIVE), exists(carries))))
    .orderBy(sandboxes.id);
}
