import { getChannelRow } from "#domain/channel/repo";
import type { Channel } from "#domain/channel/values";
import { type Ctx, demand } from "#domain/context";

export async function getChannel(ctx: Ctx, id: string): Promise<Channel> {
  demand(ctx.actor, "channel:read");
  return getChannelRow(ctx.db, ctx.actor.teamId, id);
}
