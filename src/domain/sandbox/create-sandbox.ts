import { audit } from "#domain/audit/audit";
import { type Ctx, commit, demand } from "#domain/context";
import { placeSandbox } from "#domain/host/place-sandbox";
import { demandLabels } from "#domain/sandbox/labels";
import { insertSandbox, type Sandbox, specOf } from "#domain/sandbox/repo";
import { type Sizes, sizesOf } from "#domain/sandbox/sizes";
import { resolveTemplate } from "#domain/template/resolve-template";
import { MINIMAL } from "#domain/template/values";
import { unwrap } from "#kernel/fault";

export type SandboxWish = Partial<Sizes> & {
  template?: string | undefined;
  metadata?: Record<string, string> | undefined;
};

/**
 * Makes a sandbox of its own, without a workspace, and begins to start it; answers while it is `starting`. `invalid`
 * for sizes or labels it may not have, `template_not_found`, and `no_hosts_available` when no host has room (R154).
 */
export async function createSandbox(ctx: Ctx, wish: SandboxWish): Promise<Sandbox> {
  demand(ctx.actor, "sandbox:write");
  const { metadata = {} } = wish;
  demandLabels(metadata);
  const template = await resolveTemplate(ctx, wish.template ?? MINIMAL);
  const id = ctx.newId("sandbox");
  const now = ctx.now();
  const { teamId } = ctx.actor;
  const sandbox: Sandbox = {
    ...{ id, teamId, workspaceId: null, projectId: null, hostId: null, name: id, backend: "host" },
    ...{ template: template.name, templateId: template.manifest === null ? null : template.id },
    ...sizesOf(wish, template, ctx.sandboxLimits),
    ...{ status: "starting", statusReason: null, metadata, machine: null },
    ...{ createdBy: ctx.actor.id, createdAt: now, startedAt: null, lastActiveAt: null, updatedAt: now },
  };
  unwrap(await placeSandbox(ctx.db, specOf(sandbox), null, ctx.sandboxes.containers));
  const { template: name, vcpus, memoryMb } = sandbox;
  await commit(
    ctx.db,
    insertSandbox(ctx.db, sandbox),
    audit(ctx, "sandbox.created", id, { template: name, vcpus, memoryMb }),
  );
  // The row is durable first: what is cut here is found by the sweep, and started.
  const { status } = unwrap(await ctx.sandboxes.sandbox(id).begin(specOf(sandbox)));
  return { ...sandbox, status };
}
