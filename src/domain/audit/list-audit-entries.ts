import { and, desc, eq, inArray, lt, type SQL, sql } from "drizzle-orm";
import { type Ctx, demand } from "#domain/context";
import { auditEntries } from "#schema";

export type AuditEntry = typeof auditEntries.$inferSelect;

export type AuditQuery = {
  limit: number;
  /** Only what is older: than a moment, or than an entry, given by its time and id. */
  before?: { at: number; id?: string | undefined } | undefined;
  /** Absent takes all. */
  subjectTypes?: readonly string[] | undefined;
  /** What happened, as the part of the action after the dot; absent takes all. */
  verbs?: readonly string[] | undefined;
};

export type AuditPage = { entries: AuditEntry[]; more: boolean };

/** The log of the caller's team, newest first; who neither owns nor administers it sees a part (platform R383). */
export async function listAuditEntries(ctx: Ctx, query: AuditQuery): Promise<AuditPage> {
  demand(ctx.actor, "audit:read");
  const { teamId, role } = ctx.actor;
  const all = role === "owner" || role === "admin";
  return readPage(ctx, query, eq(auditEntries.teamId, teamId), all ? undefined : eq(auditEntries.scope, "team"));
}

/** The log of all teams and of the platform itself, newest first. */
export async function listAllAuditEntries(ctx: Ctx, query: AuditQuery): Promise<AuditPage> {
  demand(ctx.actor, "platform:admin");
  return readPage(ctx, query);
}

/** Time and id together order all entries and never change, so a page begins exactly where the last one ended (I5). */
async function readPage({ db }: Ctx, query: AuditQuery, ...scope: (SQL | undefined)[]): Promise<AuditPage> {
  const { limit, before, subjectTypes, verbs } = query;
  const { createdAt, id, subjectType, action } = auditEntries;
  const rows = await db
    .select()
    .from(auditEntries)
    .where(
      and(
        ...scope,
        before?.id !== undefined ? sql`(${createdAt}, ${id}) < (${before.at}, ${before.id})` : undefined,
        before && before.id === undefined ? lt(createdAt, before.at) : undefined,
        subjectTypes ? inArray(subjectType, [...subjectTypes]) : undefined,
        verbs ? inArray(sql`substr(${action}, length(${subjectType}) + 2)`, [...verbs]) : undefined,
      ),
    )
    .orderBy(desc(createdAt), desc(id))
    .limit(limit + 1);
  return { entries: rows.slice(0, limit), more: rows.length > limit };
}
