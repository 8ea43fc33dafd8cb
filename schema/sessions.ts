import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { RUN_STATUSES } from "#domain/session/values";

/** Directory of agent sessions. Messages, runs and events live in the session's object. */
export const sessions = sqliteTable(
  "sessions",
  {
    id: text("id").primaryKey(),
    teamId: text("team_id").notNull(),
    workspaceId: text("workspace_id").notNull(),
    sandboxId: text("sandbox_id").notNull(),
    parentSessionId: text("parent_session_id"),
    subjectRef: text("subject_ref").notNull(),
    agentName: text("agent_name"),
    activeAgentName: text("active_agent_name").notNull(),
    modelRef: text("model_ref"),
    title: text("title"),
    status: text("status", { enum: ["active", "archived", "closed"] })
      .notNull()
      .default("active"),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    lastRunAt: integer("last_run_at"),
  },
  (t) => [index("sessions_workspace").on(t.workspaceId, t.updatedAt), index("sessions_team").on(t.teamId, t.updatedAt)],
);

/** Index of runs over all sessions, published by the session's object; the sweep finds stale ones here. */
export const runs = sqliteTable(
  "runs",
  {
    id: text("id").primaryKey(),
    teamId: text("team_id").notNull(),
    workspaceId: text("workspace_id").notNull(),
    sessionId: text("session_id").notNull(),
    status: text("status", { enum: RUN_STATUSES }).notNull(),
    triggerType: text("trigger_type").notNull(),
    agentName: text("agent_name").notNull(),
    errorCode: text("error_code"),
    createdAt: integer("created_at").notNull(),
    startedAt: integer("started_at"),
    endedAt: integer("ended_at"),
    publishedAt: integer("published_at").notNull(),
  },
  (t) => [
    index("runs_session").on(t.sessionId, t.createdAt),
    index("runs_team").on(t.teamId, t.createdAt),
    index("runs_status").on(t.status, t.publishedAt),
  ],
);
