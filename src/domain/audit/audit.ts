import type { Ctx, Statement } from "#domain/context";
import { auditEntries } from "#schema";

/** `workspace.created`: a concept and what happened to it, in the past tense. */
export type AuditAction = `${string}.${string}`;

/** The audit row of a change, to be committed in the same batch as the change. `metadata` must hold no secret. */
export function audit(
  ctx: Pick<Ctx, "actor" | "db" | "newId" | "now" | "requestId">,
  action: AuditAction,
  subjectId: string,
  metadata: Record<string, unknown> = {},
): Statement {
  const entry = {
    id: ctx.newId("audit"),
    teamId: ctx.actor.teamId,
    actorKind: ctx.actor.kind,
    actorId: ctx.actor.id,
    credentialId: ctx.actor.credentialId,
    action,
    subjectType: action.slice(0, action.indexOf(".")),
    subjectId,
    requestId: ctx.requestId,
    metadata,
    createdAt: ctx.now(),
  };
  // A repeat under one Idempotency-Key derives the same id; the change is then already noted.
  return ctx.db.insert(auditEntries).values(entry).onConflictDoNothing();
}
