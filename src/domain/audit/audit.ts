import { type AuditAction, scopeOf, subjectOf } from "#domain/audit/catalogue";
import type { Ctx, Statement } from "#domain/context";
import { auditEntries } from "#schema";

export type { AuditAction } from "#domain/audit/catalogue";

type AuditCtx = Pick<Ctx, "actor" | "db" | "newId" | "now" | "requestId">;
type Details = Record<string, unknown>;

/** The audit row of a change, to be committed in the same batch as the change. `metadata` must hold no secret. */
export function audit(ctx: AuditCtx, action: AuditAction, subjectId: string, metadata: Details = {}): Statement {
  return entry(ctx, action, subjectId, "ok", metadata);
}

/** The audit row of an attempt that was refused. */
export function auditRefusal(ctx: AuditCtx, action: AuditAction, subjectId: string, metadata: Details = {}): Statement {
  return entry(ctx, action, subjectId, "refused", metadata);
}

function entry(
  ctx: AuditCtx,
  action: AuditAction,
  subjectId: string,
  result: "ok" | "refused",
  metadata: Details,
): Statement {
  const { actor } = ctx;
  const row = {
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
    metadata,
    createdAt: ctx.now(),
  };
  // A repeat under one Idempotency-Key derives the same id; the change is then already noted.
  return ctx.db.insert(auditEntries).values(row).onConflictDoNothing();
}
