import { type Ctx, demand } from "#domain/context";
import { type ApiKey, selectApiKeys } from "#domain/principal/repo";

/** The live keys of the active team, newest first. */
export async function listApiKeys(ctx: Ctx): Promise<ApiKey[]> {
  demand(ctx.actor, "key:read");
  return selectApiKeys(ctx.db, ctx.actor.teamId);
}
