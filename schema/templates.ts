import { index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/** What sandboxes are made from. `teamId` is empty for the platform's own, which every team may use. */
export const templates = sqliteTable(
  "templates",
  {
    id: text("id").primaryKey(),
    teamId: text("team_id").notNull(),
    name: text("name").notNull(),
    type: text("type", { enum: ["base", "snapshot"] }).notNull(),
    /** Sizes that a sandbox made from it has; null leaves them to whoever makes one. */
    vcpus: integer("vcpus"),
    memoryMb: integer("memory_mb"),
    /** Bytes of its files as they are stored. */
    sizeBytes: integer("size_bytes").notNull().default(0),
    /** SHA-256 of the manifest of its files; null for one that begins empty. */
    manifest: text("manifest"),
    /** Environment and user of what runs in it, as its build left them. */
    defaultEnv: text("default_env", { mode: "json" }).$type<Record<string, string>>().notNull().default({}),
    defaultUser: text("default_user"),
    metadata: text("metadata", { mode: "json" }).$type<Record<string, string>>().notNull().default({}),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [uniqueIndex("templates_name").on(t.teamId, t.name), index("templates_team").on(t.teamId, t.createdAt)],
);

export const BUILD_STATUSES = ["pending", "running", "success", "failed", "cancelled"] as const;

/** Builds of platform templates. `status` is published by the build's object, which holds the truth. */
export const builds = sqliteTable(
  "builds",
  {
    id: text("id").primaryKey(),
    name: text("name").notNull(),
    baseTemplate: text("base_template").notNull(),
    /** What was asked for: recipe, health check, sizes. */
    spec: text("spec", { mode: "json" }).$type<Record<string, unknown>>().notNull(),
    status: text("status", { enum: BUILD_STATUSES }).notNull(),
    error: text("error"),
    sandboxId: text("sandbox_id"),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    startedAt: integer("started_at"),
    completedAt: integer("completed_at"),
  },
  (t) => [index("builds_time").on(t.createdAt)],
);
