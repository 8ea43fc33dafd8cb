import { type Ctx, demand } from "#domain/context";
import { type Sandbox, selectSandboxes } from "#domain/sandbox/repo";

/** The newest sandboxes of the actor's team, without those that are over (platform R158). */
export async function listSandboxes(ctx: Ctx): Promise<Sandbox[]> {
  demand(ctx.actor, "sandbox:read");
  return selectSandboxes(ctx.db, ctx.actor.teamId);
}
