import { type Ctx, demand } from "#domain/context";
import { listTemplatesOf, type Template, type TemplateType } from "#domain/template/repo";
import { PLATFORM_TEAM } from "#domain/template/values";

/** The templates a team may use, its own and the platform's, newest first (platform R295). */
export async function listTemplates(ctx: Ctx, type?: TemplateType): Promise<Template[]> {
  demand(ctx.actor, "template:read");
  return listTemplatesOf(ctx.db, [ctx.actor.teamId, PLATFORM_TEAM], type);
}

/** The templates of all teams and of the platform, newest first (platform R404). */
export async function listAllTemplates(ctx: Ctx): Promise<Template[]> {
  demand(ctx.actor, "platform:admin");
  return listTemplatesOf(ctx.db, undefined);
}
