import { listChannelRows } from "#domain/channel/repo";
import type { Channel } from "#domain/channel/values";
import { type Ctx, demand } from "#domain/context";

/** Channels of the active team, oldest first. */
export async function listChannels(ctx: Ctx): Promise<Channel[]> {
  demand(ctx.actor, "channel:read");
  return listChannelRows(ctx.db, ctx.actor.teamId);
}
