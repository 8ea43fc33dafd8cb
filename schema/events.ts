import { index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/**
 * What happened in a team, written in the batch of the change itself. The team's object takes new rows up into its log;
 * `seq` grows in the order of commits, so what comes after the last one taken is exactly what is new.
 */
export const teamEvents = sqliteTable(
  "team_events",
  {
    seq: integer("seq").primaryKey({ autoIncrement: true }),
    /** Unique per event, so that a repeated effect leaves one row. */
    id: text("id").notNull().unique(),
    /** Null for what concerns the platform alone. */
    teamId: text("team_id"),
    type: text("type").notNull(),
    payload: text("payload", { mode: "json" }).$type<Record<string, unknown>>().notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("team_events_team").on(t.teamId, t.seq), index("team_events_time").on(t.createdAt)],
);

/** Where a team's notifications go. `config` is sealed: it holds secrets. */
export const channels = sqliteTable(
  "channels",
  {
    id: text("id").primaryKey(),
    teamId: text("team_id").notNull(),
    name: text("name").notNull(),
    provider: text("provider", {
      enum: ["discord", "slack", "teams", "googlechat", "telegram", "matrix", "webhook"],
    }).notNull(),
    config: text("config").notNull(),
    events: text("events", { mode: "json" }).$type<string[]>().notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (t) => [uniqueIndex("channels_name").on(t.teamId, t.name)],
);

/** E-mail to send, written in the batch of the change it tells of. `sealed` is the encrypted letter. */
export const mails = sqliteTable(
  "mails",
  {
    id: text("id").primaryKey(),
    kind: text("kind").notNull(),
    sealed: text("sealed").notNull(),
    createdAt: integer("created_at").notNull(),
    attempts: integer("attempts").notNull().default(0),
    /** When to try (again); null once it was sent or given up. */
    dueAt: integer("due_at"),
    sentAt: integer("sent_at"),
  },
  (t) => [index("mails_due").on(t.dueAt), index("mails_time").on(t.createdAt)],
);
