import { type AuditAction, scopeOf, subjectOf } from "#domain/audit/catalogue";
import { boundedDetails } from "#domain/audit/metadata";
import { CHANGED, insertWhere } from "#domain/conditional";
import type { Ctx, Statement } from "#domain/context";
import { auditEntries } from "#schema";

export type { AuditAction } from "#domain/audit/catalogue";

type AuditCtx = Pick<Ctx, "actor" | "db" | "newId" | "now" | "requestId">;
type Entry = typeof auditEntries.$inferSelect;
type Details = Record<string, unknown>;

/** The audit row of a change, to be committed in the same batch as the change. `metadata` must hold no secret. */
export function audit(ctx: AuditCtx, action: AuditAction, subjectId: string, metadata: Details = {}): Statement {
  return insert(ctx, entry(ctx, action, subjectId, "ok", metadata));
}

/** The audit row of a conditional change: it is written if the statement just before it in the batch changed a row. */
export function auditIfChanged(
  ctx: AuditCtx,
  action: AuditAction,
  subjectId: string,
  metadata: Details = {},
): Statement {
  const row = entry(ctx, action, subjectId, "ok", metadata);
  return insertWhere(ctx.db, auditEntries, row, CHANGED).onConflictDoNothing();
}

/** The audit row of an attempt that was refused, or did not work. */
export function auditRefusal(ctx: AuditCtx, action: AuditAction, subjectId: string, metadata: Details = {}): Statement {
  return insert(ctx, entry(ctx, action, subjectId, "refused", metadata));
}

/** A repeat under one Idempotency-Key derives the same id; the change is then already noted. */
const insert = ({ db }: AuditCtx, row: Entry): Statement => db.insert(auditEntries).values(row).onConflictDoNothing();

function entry(
  ctx: AuditCtx,
  action: AuditAction,
  subjectId: string,
  result: Entry["result"],
  metadata: Details,
): Entry {
  const { actor } = ctx;
  return {
    id: ctx.newId("audit"),
    teamId: actor.teamId,
    actorKind: actor.kind,
    actorId: actor.id,
    actorName: actor.name,
    credentialId: actor.credentialId,
    action,
    subjectType: subjectOf(action),
    subjectId,
    scope: scopeOf(action),
    result,
    requestId: ctx.requestId,
    metadata: boundedDetails(metadata),
    createdAt: ctx.now(),
  };
}
