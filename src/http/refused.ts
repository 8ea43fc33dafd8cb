import type { AuditAction } from "#domain/audit/audit";
import { noteRefusal } from "#domain/audit/note-refusal";
import type { Ctx } from "#domain/context";
import type { Operation } from "#http/operation";
import type { Surface } from "#http/surface";
import type { FaultCode } from "#kernel/fault";

const MAX_ID = 100;
/** Permissions whose subject goes by another name in the audit log. */
const SUBJECTS: Record<string, string> = { account: "user", key: "api_key" };

type Request = { surface: Surface; op: Operation; params: Record<string, string>; code: FaultCode };

/** Leaves an entry in the audit log when a change was refused to somebody who is known. */
export function auditRefused(ctx: Ctx, { surface, op, params, code }: Request): void {
  if (op.method === "get" || op.permission === null) return;
  const { actor } = ctx;
  // What people do with their own account is not their team's business.
  const teamId = op.permission.startsWith("account:") ? "" : actor.teamId;
  const subjectId = Object.values(params).at(-1)?.slice(0, MAX_ID) ?? (teamId || actor.id);
  const attempt = { action: op.audits ?? actionOf(op), subjectId, operation: `${surface.name}.${op.id}`, code };
  noteRefusal({ ...ctx, actor: { ...actor, teamId } }, attempt);
}

/** What an operation would do, in words, where it does not say so itself: `team.add_member`. */
function actionOf({ id, permission }: Operation): AuditAction {
  const concept = permission?.split(":", 1)[0] ?? "";
  return `${SUBJECTS[concept] ?? concept}.${id.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
}
