import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** One row per change, written in the batch of the change itself. Rows are never changed, except that a purged account loses its name. */
export const auditEntries = sqliteTable(
  "audit_entries",
  {
    id: text("id").primaryKey(),
    teamId: text("team_id"),
    actorKind: text("actor_kind").notNull(),
    /** Empty once the actor's account is gone for good. */
    actorId: text("actor_id").notNull(),
    actorName: text("actor_name").notNull().default(""),
    credentialId: text("credential_id"),
    action: text("action").notNull(),
    subjectType: text("subject_type").notNull(),
    subjectId: text("subject_id").notNull(),
    /** Who of the team may read it: everyone, or owners and administrators. */
    scope: text("scope", { enum: ["team", "admin"] })
      .notNull()
      .default("team"),
    result: text("result", { enum: ["ok", "refused"] })
      .notNull()
      .default("ok"),
    requestId: text("request_id"),
    metadata: text("metadata", { mode: "json" }).$type<Record<string, unknown>>().notNull().default({}),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [
    index("audit_team").on(t.teamId, t.createdAt, t.id),
    index("audit_time").on(t.createdAt, t.id),
    index("audit_subject").on(t.subjectId),
  ],
);
