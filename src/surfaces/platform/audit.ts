import { z } from "zod";
import {
  type AuditEntry,
  type AuditPage,
  type AuditQuery,
  listAllAuditEntries,
  listAuditEntries,
} from "#domain/audit/list-audit-entries";
import { operation } from "#http/operation";
import { isId } from "#kernel/id";
import { iso } from "#kernel/time";
import { shownAction, storedVerbs } from "#surfaces/platform/audit-words";

const MAX_LIMIT = 200;
const MAX_FILTER_VALUES = 30;

const AuditEntryResource = z
  .object({
    id: z.string(),
    actor_type: z.enum(["user", "api_key", "host", "system"]),
    actor_id: z.string(),
    actor_name: z.string(),
    resource_type: z.string(),
    resource_id: z.string(),
    action: z.string(),
    scope: z.string(),
    status: z.enum(["success", "failure"]),
    metadata: z.record(z.string(), z.unknown()),
    created_at: z.iso.datetime(),
  })
  .meta({ id: "AuditLogEntry" });

const Cursor = z.object({ before: z.iso.datetime(), before_id: z.string() }).nullable();
const PageResource = z.object({ entries: z.array(AuditEntryResource), next_cursor: Cursor });
/** The log of all teams also tells whose an entry is; null for the platform's own. */
const AdminEntryResource = AuditEntryResource.extend({ team_id: z.string().nullable() }).meta({
  id: "AdminAuditLogEntry",
});
const AdminPageResource = z.object({ entries: z.array(AdminEntryResource), next_cursor: Cursor });

/** Repeated, separated by commas, or both (R387). */
const Words = z
  .union([z.string(), z.array(z.string())])
  .transform((given) => [given].flat().flatMap((text) => text.split(",").flatMap((word) => word.trim() || [])))
  .refine((words) => words.length <= MAX_FILTER_VALUES, `at most ${MAX_FILTER_VALUES} values`)
  .optional()
  .meta({ type: "array", items: { type: "string" } });

const AuditQuerySchema = z
  .object({
    before: z.iso.datetime({ offset: true }).optional(),
    before_id: z
      .string()
      .refine((id) => isId("audit", id), "must be the id of an entry")
      .optional(),
    limit: z.coerce
      .number()
      .int()
      .min(1)
      .default(50)
      .transform((asked) => Math.min(asked, MAX_LIMIT)) // A22
      .meta({ type: "integer", minimum: 1, maximum: MAX_LIMIT, default: 50 }),
    resource_type: Words,
    action: Words,
  })
  .refine(({ before, before_id }) => before !== undefined || before_id === undefined, {
    path: ["before_id"],
    message: "needs before", // R389
  });

function toQuery({ limit, before, before_id, resource_type, action }: z.output<typeof AuditQuerySchema>): AuditQuery {
  return {
    limit,
    before: before === undefined ? undefined : { at: Date.parse(before), id: before_id },
    subjectTypes: resource_type?.length ? resource_type : undefined,
    verbs: action?.length ? storedVerbs(action) : undefined,
  };
}

const toEntry = (entry: AuditEntry): z.input<typeof AuditEntryResource> => ({
  id: entry.id,
  actor_type: actorType(entry.actorKind),
  actor_id: entry.actorId,
  actor_name: entry.actorName,
  resource_type: entry.subjectType,
  resource_id: entry.subjectId,
  action: shownAction(entry.action),
  scope: entry.scope,
  status: entry.result === "ok" ? "success" : "failure",
  metadata: entry.metadata,
  created_at: iso(entry.createdAt),
});

const ACTOR_TYPES = ["user", "api_key", "host"] as const;
/** What acts without being anybody's is the system (R385). */
const actorType = (kind: string) => ACTOR_TYPES.find((type) => type === kind) ?? "system";

function cursorOf({ entries, more }: AuditPage): z.input<typeof Cursor> {
  const last = entries.at(-1);
  return more && last ? { before: iso(last.createdAt), before_id: last.id } : null;
}

export const auditOperations = [
  operation({
    id: "listAuditLogs",
    method: "get",
    path: "/v1/audit-logs",
    tag: "audit",
    summary: "List the audit log of the team, newest first",
    description:
      "Members see entries of scope `team`, owners and administrators also those of scope `admin`. Follow `next_cursor` until it is null.",
    permission: "audit:read",
    query: AuditQuerySchema,
    returns: { status: 200, schema: PageResource },
    faults: [],
    run: async (ctx, { query }) => {
      const page = await listAuditEntries(ctx, toQuery(query));
      return { entries: page.entries.map(toEntry), next_cursor: cursorOf(page) };
    },
  }),
  operation({
    id: "adminListAuditLogs",
    method: "get",
    path: "/v1/admin/audit-logs",
    tag: "admin",
    summary: "List the audit log of all teams, newest first",
    permission: "platform:admin",
    query: AuditQuerySchema,
    returns: { status: 200, schema: AdminPageResource },
    faults: [],
    run: async (ctx, { query }) => {
      const page = await listAllAuditEntries(ctx, toQuery(query));
      const entries = page.entries.map((entry) => ({ ...toEntry(entry), team_id: entry.teamId || null }));
      return { entries, next_cursor: cursorOf(page) };
    },
  }),
];
