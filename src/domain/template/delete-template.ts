import { eq, exists } from "drizzle-orm";
import { type AuditAction, audit } from "#domain/audit/audit";
import { onlyIf, refuseUnmet } from "#domain/conditional";
import { type Ctx, commit, demand, inTeam } from "#domain/context";
import { eventActor } from "#domain/event/actors";
import { announce } from "#domain/event/announce";
import { emit } from "#domain/event/emit";
import { findUsableTemplate, listTemplatesNamed, type Template } from "#domain/template/repo";
import { MINIMAL, PLATFORM_TEAM } from "#domain/template/values";
import { Fault } from "#kernel/fault";
import { MINUTE } from "#kernel/time";
import { templates } from "#schema";

/**
 * Deletes a template of the actor's team; its name is free from then on (platform R300). `template_not_found` for one of
 * another team, `forbidden` for one of the platform (R302). Sandboxes made from it stay as they are (R303).
 */
export async function deleteTemplate(ctx: Ctx, name: string): Promise<void> {
  demand(ctx.actor, "template:write");
  const template = await findUsableTemplate(ctx.db, ctx.actor.teamId, name);
  if (!template) throw notFound(name);
  if (template.teamId === PLATFORM_TEAM)
    throw new Fault("forbidden", "templates of the platform are its administrators'");
  await removeTemplate(ctx, template, "snapshot.deleted");
}

/**
 * Deletes any template for an administrator: the platform's of that name, else the only one that a team has. Where
 * several teams use the name, `teamId` must tell whose it is, or the answer is `conflict`.
 */
export async function deleteAnyTemplate(ctx: Ctx, name: string, teamId?: string): Promise<void> {
  demand(ctx.actor, "platform:admin");
  const named = (await listTemplatesNamed(ctx.db, name)).filter((one) => teamId === undefined || one.teamId === teamId);
  const ofPlatform = named.filter((one) => one.teamId === PLATFORM_TEAM);
  const [template, another] = ofPlatform.length > 0 ? ofPlatform : named;
  if (!template) throw notFound(name);
  if (another) throw new Fault("conflict", `${named.length} teams have a template ${name}; say whose with team_id`);
  if (template.teamId === PLATFORM_TEAM && name === MINIMAL) {
    throw new Fault("forbidden", `${MINIMAL} is never deleted`);
  }
  await removeTemplate(ctx, template, "template.deleted");
}

/** Takes a template out of the directory, and lets go of its files; `template_not_found` for one that is gone. */
export async function removeTemplate(
  ctx: Ctx,
  { id, name, teamId, manifest }: Template,
  action: AuditAction,
): Promise<void> {
  const owner = inTeam(ctx, teamId);
  const eventTeam = teamId === PLATFORM_TEAM ? null : teamId;
  const chunks = ctx.chunks.store(teamId);
  // First, because a deletion that is cut here leaves files that the directory is asked about.
  if (manifest !== null) await chunks.doubt(manifest, id, ctx.now() + MINUTE);
  const known = ctx.db.select({ id: templates.id }).from(templates).where(eq(templates.id, id));
  await commit(
    ctx.db,
    onlyIf(ctx.db, exists(known), "template_not_found"),
    ctx.db.delete(templates).where(eq(templates.id, id)),
    audit(owner, action, id, { name }),
    emit(ctx, {
      type: "template.snapshot.delete",
      teamId: eventTeam,
      resource: { id: name, type: "snapshot" },
      actor: eventActor(ctx.actor),
      metadata: {},
      outcome: "success",
      at: ctx.now(),
    }),
  ).catch(refuseUnmet({ template_not_found: notFound(name).message }));
  if (manifest !== null) await chunks.release(manifest, id);
  ctx.defer(() => announce(ctx.teams, eventTeam));
}

const notFound = (name: string) => new Fault("template_not_found", `there is no template ${name}`);
