import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** A place of work of a team. `sandboxId` is the sandbox that carries its files. */
export const workspaces = sqliteTable(
  "workspaces",
  {
    id: text("id").primaryKey(),
    teamId: text("team_id").notNull(),
    sandboxId: text("sandbox_id").notNull(),
    name: text("name").notNull(),
    description: text("description"),
    runtime: text("runtime"),
    externalRef: text("external_ref"),
    ownerId: text("owner_id"),
    serviceName: text("service_name"),
    folderPath: text("folder_path"),
    executionPolicy: text("execution_policy", { enum: ["local", "container", "remote_runner"] })
      .notNull()
      .default("local"),
    status: text("status", { enum: ["active", "archived", "disabled"] })
      .notNull()
      .default("active"),
    readOnly: integer("read_only", { mode: "boolean" }).notNull().default(false),
    settings: text("settings", { mode: "json" }).$type<Record<string, unknown>>().notNull().default({}),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (t) => [index("workspaces_team").on(t.teamId, t.updatedAt), index("workspaces_sandbox").on(t.sandboxId)],
);
