import type { Ctx } from "#domain/context";
import { findUsableTemplate, type Template } from "#domain/template/repo";
import { demandTemplateName } from "#domain/template/values";
import { Fault } from "#kernel/fault";

/**
 * The template that a new sandbox of the actor's team is made from. `invalid` for a name that is none, and
 * `template_not_found` also for another team's (platform R151, R299).
 */
export async function resolveTemplate(ctx: Ctx, name: string): Promise<Template> {
  demandTemplateName(name);
  const template = await findUsableTemplate(ctx.db, ctx.actor.teamId, name);
  if (!template) throw new Fault("template_not_found", `there is no template ${name}`);
  return template;
}
