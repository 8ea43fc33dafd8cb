import { and, eq, inArray, isNotNull, or, sql } from "drizzle-orm";
import type { Db, Statement } from "#domain/context";
import type { SandboxStatus } from "#domain/sandbox/status";
import { hosts, sandboxes, teams } from "#schema";

export type Host = typeof hosts.$inferSelect;

/** Statuses in which a sandbox uses its host's processor and memory. */
const ACTIVE: SandboxStatus[] = ["starting", "running", "pausing", "resuming", "stopping", "missing"];

export async function findHost(db: Db, id: string): Promise<Host | undefined> {
  const [row] = await db.select().from(hosts).where(eq(hosts.id, id));
  return row;
}

export function insertHost(db: Db, row: typeof hosts.$inferInsert): Statement {
  return db.insert(hosts).values(row);
}

export function updateHost(db: Db, id: string, patch: Partial<typeof hosts.$inferInsert>): Statement {
  return db.update(hosts).set(patch).where(eq(hosts.id, id));
}

/** One host and what the sandboxes on it may use at most, together. */
export type HostLoad = {
  id: string;
  address: string;
  cpuCores: number | null;
  memoryMb: number | null;
  diskGb: number | null;
  usedVcpus: number;
  usedMemoryMb: number;
  usedDiskMb: number;
};

/** Online hosts a team's sandboxes may run on: its own if it brings its own, else those of the platform (R156). */
export async function listHostLoads(db: Db, teamId: string): Promise<HostLoad[]> {
  const bringsOwn = sql`EXISTS (SELECT 1 FROM ${teams} WHERE ${teams.id} = ${teamId} AND ${teams.isByoc} = 1)`;
  const used = (column: typeof sandboxes.vcpus | typeof sandboxes.memoryMb | typeof sandboxes.diskSizeMb) =>
    sql<number>`COALESCE(SUM(${column}), 0)`;
  const rows = await db
    .select({
      id: hosts.id,
      address: hosts.address,
      cpuCores: hosts.cpuCores,
      memoryMb: hosts.memoryMb,
      diskGb: hosts.diskGb,
      usedVcpus: used(sandboxes.vcpus),
      usedMemoryMb: used(sandboxes.memoryMb),
      usedDiskMb: used(sandboxes.diskSizeMb),
    })
    .from(hosts)
    .leftJoin(sandboxes, and(eq(sandboxes.hostId, hosts.id), inArray(sandboxes.status, ACTIVE)))
    .where(
      and(
        eq(hosts.status, "online"),
        isNotNull(hosts.address),
        or(
          and(eq(hosts.type, "byoc"), eq(hosts.teamId, teamId), bringsOwn),
          and(eq(hosts.type, "regular"), sql`NOT ${bringsOwn}`),
        ),
      ),
    )
    .groupBy(hosts.id);
  return rows.flatMap(({ address, ...row }) => (address === null ? [] : [{ ...row, address }]));
}

/** Whether a team runs its sandboxes on hosts of its own only. */
export async function bringsOwnHosts(db: Db, teamId: string): Promise<boolean> {
  const [row] = await db.select({ isByoc: teams.isByoc }).from(teams).where(eq(teams.id, teamId));
  return row?.isByoc ?? false;
}

/** Ids of the sandboxes placed on a host that are in one of `statuses`. */
export async function listSandboxesOn(db: Db, hostId: string, statuses: SandboxStatus[]): Promise<string[]> {
  const rows = await db
    .select({ id: sandboxes.id })
    .from(sandboxes)
    .where(and(eq(sandboxes.hostId, hostId), inArray(sandboxes.status, statuses)));
  return rows.map((row) => row.id);
}
