import { and, desc, eq, inArray } from "drizzle-orm";
import type { Db } from "#domain/context";
import { PLATFORM_TEAM } from "#domain/template/values";
import { templates } from "#schema";

export type Template = typeof templates.$inferSelect;
export type TemplateType = Template["type"];

/** The template of that name which a team may use: its own, or one of the platform. Names never collide (R291). */
export async function findUsableTemplate(db: Db, teamId: string, name: string): Promise<Template | undefined> {
  const [row] = await db
    .select()
    .from(templates)
    .where(and(eq(templates.name, name), inArray(templates.teamId, [teamId, PLATFORM_TEAM])))
    .orderBy(desc(templates.teamId))
    .limit(1);
  return row;
}

/** A template that a sandbox of the team was made from; undefined once it is deleted. */
export async function findTemplateById(db: Db, teamId: string, id: string): Promise<Template | undefined> {
  const [row] = await db
    .select()
    .from(templates)
    .where(and(eq(templates.id, id), inArray(templates.teamId, [teamId, PLATFORM_TEAM])));
  return row;
}

/** What these teams have, newest first; undefined takes all teams. */
export async function listTemplatesOf(
  db: Db,
  teamIds: readonly string[] | undefined,
  type?: TemplateType,
): Promise<Template[]> {
  const owned = teamIds && inArray(templates.teamId, [...teamIds]);
  return db
    .select()
    .from(templates)
    .where(and(owned, type && eq(templates.type, type)))
    .orderBy(desc(templates.createdAt), desc(templates.id));
}

export async function listTemplatesNamed(db: Db, name: string): Promise<Template[]> {
  return db.select().from(templates).where(eq(templates.name, name));
}

/** Whether a template is in the directory and has the files of this manifest. */
export async function isTemplateOf(db: Db, id: string, manifest: string): Promise<boolean> {
  const rows = await db
    .select({ id: templates.id })
    .from(templates)
    .where(and(eq(templates.id, id), eq(templates.manifest, manifest)));
  return rows.length > 0;
}
