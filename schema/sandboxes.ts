import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { SANDBOX_STATUSES } from "#domain/sandbox/status";

/** A place to run code. `status` is published by the sandbox's object, which holds the truth. */
export const sandboxes = sqliteTable(
  "sandboxes",
  {
    id: text("id").primaryKey(),
    teamId: text("team_id").notNull(),
    workspaceId: text("workspace_id"),
    projectId: text("project_id"),
    hostId: text("host_id"),
    name: text("name").notNull(),
    template: text("template").notNull().default("minimal"),
    /** The template whose files the sandbox begins with; null for an empty workspace. */
    templateId: text("template_id"),
    backend: text("backend", { enum: ["host", "container"] })
      .notNull()
      .default("host"),
    status: text("status", { enum: SANDBOX_STATUSES }).notNull(),
    statusReason: text("status_reason"),
    vcpus: integer("vcpus").notNull().default(1),
    memoryMb: integer("memory_mb").notNull().default(512),
    diskSizeMb: integer("disk_size_mb").notNull().default(5120),
    timeoutSec: integer("timeout_sec").notNull().default(0),
    metadata: text("metadata", { mode: "json" }).$type<Record<string, string>>().notNull().default({}),
    /** What runs it, in the words of its machine (kernel, agent, supervisor, pause mode); null unless it runs. */
    machine: text("machine", { mode: "json" }).$type<Record<string, string>>(),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    startedAt: integer("started_at"),
    lastActiveAt: integer("last_active_at"),
    updatedAt: integer("updated_at").notNull(),
  },
  (t) => [
    index("sandboxes_team").on(t.teamId, t.createdAt),
    index("sandboxes_host").on(t.hostId, t.status),
    index("sandboxes_workspace").on(t.workspaceId),
  ],
);
