import { NOBODY } from "#domain/actor";
import { type AuditAction, audit, auditRefusal } from "#domain/audit/audit";
import type { Ctx, Statement } from "#domain/context";

type Person = { id: string; name: string };
type Options = { teamId?: string; refused?: boolean };

/**
 * The audit row of what people do with their own account. It belongs to no team's log unless one is named: what a person
 * does with their password is not their team's business. The person counts as the actor although nobody is logged in
 * yet when an account is activated or a password reset.
 */
export function auditAccount(ctx: Ctx, action: AuditAction, { id, name }: Person, options: Options = {}): Statement {
  const { teamId = "", refused = false } = options;
  const { credentialId } = ctx.actor;
  const actor = { ...NOBODY, kind: "user" as const, id, name, userId: id, teamId, credentialId };
  const write = refused ? auditRefusal : audit;
  return write({ ...ctx, actor }, action, teamId || id);
}
