import { and, desc, eq, inArray } from "drizzle-orm";
import type { Db } from "#domain/context";
import { PLATFORM_TEAM } from "#domain/template/values";
import { templates } from "#schema";

export type Template = typeof templates.$inferSelect;

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
