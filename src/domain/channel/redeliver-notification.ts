import { audit } from "#domain/audit/audit";
import type { LoggedDelivery } from "#domain/channel/ports";
import { getChannelRow } from "#domain/channel/repo";
import { type Ctx, commit, demand } from "#domain/context";
import { unwrap } from "#kernel/fault";

/** Sends a notification that was delivered or given up once more, under the same id. */
export async function redeliverNotification(ctx: Ctx, channelId: string, deliveryId: string): Promise<LoggedDelivery> {
  demand(ctx.actor, "channel:write");
  const { id, teamId } = await getChannelRow(ctx.db, ctx.actor.teamId, channelId);
  const delivery = unwrap(await ctx.deliveries.of(teamId).redeliver(id, deliveryId));
  await commit(ctx.db, audit(ctx, "channel.redelivered", id, { deliveryId }));
  return delivery;
}
