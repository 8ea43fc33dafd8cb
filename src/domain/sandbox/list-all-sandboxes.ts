import { type Ctx, demand } from "#domain/context";
import { type Sandbox, selectSandboxes } from "#domain/sandbox/repo";

/** The newest sandboxes of all teams, without those that are over (platform R407). */
export async function listAllSandboxes(ctx: Ctx): Promise<Sandbox[]> {
  demand(ctx.actor, "platform:admin");
  return selectSandboxes(ctx.db);
}
