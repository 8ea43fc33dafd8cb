import { and, desc, eq, inArray, lt } from "drizzle-orm";
import type { BuildSpec } from "#domain/build/plan";
import type { BuildOrder } from "#domain/build/ports";
import type { Db, Statement } from "#domain/context";
import { builds } from "#schema";

type Row = typeof builds.$inferSelect;

/** `teamId` is whose sandbox it uses; `done` is how many steps had ended when it was published last. */
export type StoredSpec = BuildSpec & { teamId: string; done: number };
export type Build = Omit<Row, "spec"> & { spec: StoredSpec };

/** The newest builds that a list shows. */
const LISTED = 200;

const fromRow = (row: Row): Build => ({ ...row, spec: row.spec as StoredSpec });

export const orderOf = ({ spec, sandboxId, ...build }: Build): BuildOrder => ({
  ...{ id: build.id, name: build.name, baseTemplate: build.baseTemplate, createdBy: build.createdBy },
  ...{ createdAt: build.createdAt, spec, teamId: spec.teamId, sandboxId: sandboxId ?? "" },
});

export async function findBuild(db: Db, id: string): Promise<Build | undefined> {
  const [row] = await db.select().from(builds).where(eq(builds.id, id));
  return row && fromRow(row);
}

/** Newest first. */
export async function listNewestBuilds(db: Db): Promise<Build[]> {
  const rows = await db.select().from(builds).orderBy(desc(builds.createdAt), desc(builds.id)).limit(LISTED);
  return rows.map(fromRow);
}

/** Builds that are not over although they were created before `before`. */
export async function listOpenBuilds(db: Db, before: number, limit: number): Promise<string[]> {
  const open = and(inArray(builds.status, ["pending", "running"]), lt(builds.createdAt, before));
  return (await db.select({ id: builds.id }).from(builds).where(open).limit(limit)).map(({ id }) => id);
}

export const insertBuild = (db: Db, build: Build): Statement => db.insert(builds).values(build);

/** Publishes what a build's object holds to be true. */
export function publishBuild(
  db: Db,
  id: string,
  patch: Pick<Build, "status" | "error" | "startedAt" | "completedAt" | "spec">,
): Statement {
  return db.update(builds).set(patch).where(eq(builds.id, id));
}
