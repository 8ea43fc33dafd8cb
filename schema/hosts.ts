import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** A machine that runs sandboxes. `teamId` is set for a team's own hosts and null for those of the platform. */
export const hosts = sqliteTable(
  "hosts",
  {
    id: text("id").primaryKey(),
    teamId: text("team_id"),
    type: text("type", { enum: ["regular", "byoc"] }).notNull(),
    status: text("status", { enum: ["pending", "online", "offline", "draining", "unreachable"] }).notNull(),
    provider: text("provider"),
    availabilityZone: text("availability_zone"),
    address: text("address"),
    arch: text("arch"),
    cpuCores: integer("cpu_cores"),
    memoryMb: integer("memory_mb"),
    diskGb: integer("disk_gb"),
    /** What the agent said it can and cannot enforce. */
    capabilities: text("capabilities", { mode: "json" }).$type<Record<string, unknown>>().notNull().default({}),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    lastHeartbeatAt: integer("last_heartbeat_at"),
  },
  (t) => [index("hosts_placement").on(t.type, t.status), index("hosts_team").on(t.teamId)],
);

/** Labels that people put on hosts. */
export const hostTags = sqliteTable(
  "host_tags",
  { hostId: text("host_id").notNull(), tag: text("tag").notNull() },
  (t) => [primaryKey({ columns: [t.hostId, t.tag] })],
);
