import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/** People. `email` is stored lower-cased and NFC-normalised; a soft-deleted user keeps the row until the purge. */
export const users = sqliteTable(
  "users",
  {
    id: text("id").primaryKey(),
    email: text("email").notNull(),
    username: text("username"),
    name: text("name").notNull().default(""),
    avatarUrl: text("avatar_url"),
    passwordHash: text("password_hash"),
    status: text("status", { enum: ["inactive", "active", "disabled", "deleted"] })
      .notNull()
      .default("inactive"),
    isPlatformAdmin: integer("is_platform_admin", { mode: "boolean" }).notNull().default(false),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    deletedAt: integer("deleted_at"),
  },
  (t) => [
    uniqueIndex("users_email").on(t.email),
    uniqueIndex("users_username").on(t.username),
    index("users_deleted").on(t.deletedAt),
  ],
);

/** The tenant. The orchestrator calls it an organization. */
export const teams = sqliteTable(
  "teams",
  {
    id: text("id").primaryKey(),
    name: text("name").notNull(),
    slug: text("slug").notNull(),
    description: text("description"),
    settings: text("settings", { mode: "json" }).$type<Record<string, unknown>>().notNull().default({}),
    isByoc: integer("is_byoc", { mode: "boolean" }).notNull().default(false),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    deletedAt: integer("deleted_at"),
  },
  (t) => [uniqueIndex("teams_slug").on(t.slug)],
);

export const memberships = sqliteTable(
  "memberships",
  {
    teamId: text("team_id").notNull(),
    userId: text("user_id").notNull(),
    role: text("role", { enum: ["owner", "admin", "member", "viewer"] }).notNull(),
    /** The team a login begins in; one per user. */
    isDefault: integer("is_default", { mode: "boolean" }).notNull().default(false),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.teamId, t.userId] }), index("memberships_user").on(t.userId)],
);

/** API keys as they are listed. The hash also names the key's `PrincipalObject`, which says whether it is live. */
export const apiKeys = sqliteTable(
  "api_keys",
  {
    id: text("id").primaryKey(),
    teamId: text("team_id").notNull(),
    createdBy: text("created_by").notNull(),
    name: text("name").notNull(),
    prefix: text("prefix").notNull(),
    secretHash: text("secret_hash").notNull().default(""),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at"),
    lastUsedAt: integer("last_used_at"),
    revokedAt: integer("revoked_at"),
  },
  (t) => [index("api_keys_team").on(t.teamId, t.createdAt), index("api_keys_user").on(t.createdBy)],
);

/** Identities of other providers that log a user in. */
export const userProviders = sqliteTable(
  "user_providers",
  {
    provider: text("provider").notNull(),
    subject: text("subject").notNull(),
    userId: text("user_id").notNull(),
    email: text("email"),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.provider, t.subject] }),
    uniqueIndex("user_providers_user").on(t.userId, t.provider),
  ],
);

/** Secrets that work once, by the SHA-256 of their text. Using one deletes its row. */
export const oneTimeTokens = sqliteTable(
  "one_time_tokens",
  {
    hash: text("hash").primaryKey(),
    kind: text("kind", { enum: ["activation", "password_reset", "oauth_state"] }).notNull(),
    /** Whose it is; an OAuth state that links no account has no user. */
    userId: text("user_id"),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at").notNull(),
  },
  (t) => [index("one_time_tokens_user").on(t.userId, t.kind), index("one_time_tokens_expiry").on(t.expiresAt)],
);
