import { type AuditAction, audit } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { listSandboxesById } from "#domain/sandbox/repo";
import { Fault } from "#kernel/fault";

/**
 * The context in which an administrator of the platform acts on any team's sandbox: as somebody of that team who may do
 * everything, still under the own name. With an `action` the access is written into the team's audit log (platform
 * R410) before anything happens.
 */
export async function asAdminOf(ctx: Ctx, sandboxId: string, action?: AuditAction): Promise<Ctx> {
  demand(ctx.actor, "platform:admin");
  const [sandbox] = await listSandboxesById(ctx.db, [sandboxId]);
  if (!sandbox) throw new Fault("sandbox_not_found", "sandbox not found");
  const inside: Ctx = { ...ctx, actor: { ...ctx.actor, teamId: sandbox.teamId, role: "owner" } };
  if (action) await commit(ctx.db, audit(inside, action, sandbox.id, { by: "platform admin" }));
  return inside;
}
