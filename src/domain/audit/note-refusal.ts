import { type AuditAction, auditRefusal } from "#domain/audit/audit";
import { type Ctx, commit } from "#domain/context";
import type { FaultCode } from "#kernel/fault";
import { MINUTE } from "#kernel/time";

/**
 * Refusals that say something about who tried what: a missing right, a forged request, a wrong secret, a rule that stood
 * in the way. A request that is malformed, names nothing that exists or comes too often says nothing of the kind.
 */
const NOTED: ReadonlySet<FaultCode> = new Set<FaultCode>([
  "forbidden",
  "no_team",
  "csrf_failed",
  "wrong_password",
  "conflict",
  "email_taken",
  "already_member",
  "last_login_method",
  "last_platform_admin",
  "owns_team_with_members",
  "workspace_read_only",
  "workspace_owner_mismatch",
  "path_not_allowed",
]);

/** How many refusals of one principal are noted; a caller that does nothing but fail must not fill the log. */
const NOTED_PER_MINUTE = { bucket: "refusals", quota: 10, windowMs: MINUTE };

type Attempt = {
  /** What was tried, as the entry of its success would say. */
  action: AuditAction;
  subjectId: string;
  operation: string;
  code: FaultCode;
};

/** Notes that an authenticated caller was refused a change (T12). The answer does not wait for it, nor fail with it. */
export function noteRefusal(ctx: Ctx, { action, subjectId, operation, code }: Attempt): void {
  const { actor } = ctx;
  if (!NOTED.has(code) || !["user", "api_key", "host"].includes(actor.kind)) return;
  ctx.defer(async () => {
    const counter = ctx.principals.principal(actor.principal || `audit:${actor.id}`);
    const states = await counter.take([NOTED_PER_MINUTE]);
    if (states.some(({ retryAfterMs }) => retryAfterMs > 0)) return;
    await commit(ctx.db, auditRefusal(ctx, action, subjectId, { operation, code }));
  });
}
