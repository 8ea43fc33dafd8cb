import { and, desc, eq, exists, inArray, notInArray } from "drizzle-orm";
import type { Db, Statement } from "#domain/context";
import type { SandboxSpec } from "#domain/sandbox/ports";
import { workspaceKey } from "#domain/workspace/values";
import { isId } from "#kernel/id";
import { CONTAINER_HOST } from "#protocol/container";
import { sandboxes, workspaces } from "#schema";

export type Sandbox = typeof sandboxes.$inferSelect;

/** What a new sandbox is; everything left out takes the contract's default. */
export type NewSandbox = Pick<typeof sandboxes.$inferInsert, "id" | "teamId" | "name" | "createdBy" | "createdAt"> &
  Partial<
    Pick<
      Sandbox,
      | "workspaceId"
      | "projectId"
      | "template"
      | "templateId"
      | "vcpus"
      | "memoryMb"
      | "diskSizeMb"
      | "timeoutSec"
      | "metadata"
      | "status"
    >
  >;

/** A team's sandbox by its own id or by the id, as the team knows it, of the workspace whose files it carries. */
export async function findSandbox(db: Db, teamId: string, id: string): Promise<Sandbox | undefined> {
  const carries = db
    .select({ id: workspaces.id })
    .from(workspaces)
    .where(
      and(
        eq(workspaces.id, workspaceKey(teamId, id)),
        eq(workspaces.teamId, teamId),
        eq(workspaces.sandboxId, sandboxes.id),
      ),
    );
  const named = isId("sandbox", id) ? eq(sandboxes.id, id) : exists(carries);
  const [row] = await db
    .select()
    .from(sandboxes)
    .where(and(named, eq(sandboxes.teamId, teamId)));
  return row;
}

/** Parameters of one statement, of which D1 takes 100. */
const AT_ONCE = 90;

/** Sandboxes of any team; the caller decides who sees which. */
export async function listSandboxesById(db: Db, ids: readonly string[]): Promise<Sandbox[]> {
  const found: Sandbox[] = [];
  for (let i = 0; i < ids.length; i += AT_ONCE) {
    const some = ids.slice(i, i + AT_ONCE);
    found.push(...(await db.select().from(sandboxes).where(inArray(sandboxes.id, some))));
  }
  return found;
}

const MAX_LISTED = 1_000;

/** Sandboxes that are not over, newest first; of all teams unless one is given. */
export function selectSandboxes(db: Db, teamId?: string): Promise<Sandbox[]> {
  const lives = notInArray(sandboxes.status, ["stopped", "error"]);
  return db
    .select()
    .from(sandboxes)
    .where(teamId === undefined ? lives : and(eq(sandboxes.teamId, teamId), lives))
    .orderBy(desc(sandboxes.createdAt), desc(sandboxes.id))
    .limit(MAX_LISTED);
}

/** The row of a new sandbox, by default one that nobody asked to start. A repeat under the same id changes nothing. */
export function insertSandbox(db: Db, { status = "pending", ...sandbox }: NewSandbox): Statement {
  return db
    .insert(sandboxes)
    .values({ ...sandbox, status, updatedAt: sandbox.createdAt })
    .onConflictDoNothing();
}

/** Publishes what a sandbox's object holds to be true. */
export function publishSandbox(
  db: Db,
  id: string,
  patch: Pick<Sandbox, "status" | "statusReason" | "hostId" | "machine" | "startedAt" | "lastActiveAt" | "updatedAt">,
): Statement {
  const backend = patch.hostId === CONTAINER_HOST ? "container" : "host";
  return db
    .update(sandboxes)
    .set({ ...patch, backend })
    .where(eq(sandboxes.id, id));
}

export const specOf = ({ workspaceId, ...sandbox }: Sandbox): SandboxSpec => {
  const { id, teamId, vcpus, memoryMb, diskSizeMb, timeoutSec, templateId } = sandbox;
  return { id, teamId, vcpus, memoryMb, diskSizeMb, timeoutSec, templateId, disposable: workspaceId === null };
};
