import { type Ctx, demand } from "#domain/context";
import { findSandbox, type Sandbox } from "#domain/sandbox/repo";
import { findTemplateById, type Template } from "#domain/template/repo";
import { setupOf, startEntry } from "#domain/template/setup";
import { takeTemplate } from "#domain/template/take-template";
import { demandTemplateName, PLATFORM_TEAM } from "#domain/template/values";
import { randomHex } from "#kernel/digest";
import { Fault } from "#kernel/fault";

/**
 * Takes a running sandbox's files as a template of its team, under a new name unless one is given; see `takeTemplate` for
 * the refusals. It has the sandbox's sizes (platform R294), and what runs in it finds the environment it finds there.
 */
export async function createSnapshot(ctx: Ctx, sandboxId: string, name?: string): Promise<Template> {
  demand(ctx.actor, "template:write");
  const { teamId } = ctx.actor;
  return take(ctx, sandboxId, { teamId, name: name ?? `template-${randomHex(4)}`, action: "snapshot.created" });
}

/** The same for an administrator, who acts in the sandbox's team: the template is the platform's (platform R408). */
export async function createPlatformSnapshot(ctx: Ctx, sandboxId: string, name: string): Promise<Template> {
  demand(ctx.actor, "platform:admin");
  return take(ctx, sandboxId, { teamId: PLATFORM_TEAM, name, action: "template.created" });
}

type Target = { teamId: string; name: string; action: "snapshot.created" | "template.created" };

async function take(ctx: Ctx, sandboxId: string, target: Target): Promise<Template> {
  demandTemplateName(target.name);
  const sandbox = await findSandbox(ctx.db, ctx.actor.teamId, sandboxId);
  if (!sandbox) throw new Fault("sandbox_not_found", "sandbox not found");
  return takeTemplate(ctx, { ...target, ...(await settingsOf(ctx, sandbox)), createdBy: ctx.actor.id });
}

async function settingsOf(ctx: Ctx, { id, teamId, vcpus, memoryMb, templateId }: Sandbox) {
  const from = templateId === null ? undefined : await findTemplateById(ctx.db, teamId, templateId);
  const { defaultEnv = {}, defaultUser = null } = from ?? {};
  const metadata = from ? startEntry(setupOf(from).start) : {};
  return {
    type: "snapshot" as const,
    ...{ sandboxId: id, sandboxTeamId: teamId, vcpus, memoryMb, defaultEnv, defaultUser, metadata },
  };
}
