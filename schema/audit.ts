import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** One row per change, written in the batch of the change itself. Rows are never updated or deleted. */
export const auditEntries = sqliteTable(
  "audit_entries",
  {
    id: text("id").primaryKey(),
    teamId: text("team_id"),
    actorKind: text("actor_kind").notNull(),
    actorId: text("actor_id").notNull(),
    credentialId: text("credential_id"),
    action: text("action").notNull(),
    subjectType: text("subject_type").notNull(),
    subjectId: text("subject_id").notNull(),
    result: text("result", { enum: ["ok", "refused"] })
      .notNull()
      .default("ok"),
    requestId: text("request_id"),
    metadata: text("metadata", { mode: "json" }).$type<Record<string, unknown>>().notNull().default({}),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("audit_team").on(t.teamId, t.createdAt), index("audit_subject").on(t.subjectId)],
);
