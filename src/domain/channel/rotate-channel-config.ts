import { auditIfChanged } from "#domain/audit/audit";
import { parseConfig, storedConfig } from "#domain/channel/config";
import type { CreatedChannel } from "#domain/channel/create-channel";
import { channelNotFound, getChannelRow, replaceConfig } from "#domain/channel/repo";
import type { Channel } from "#domain/channel/values";
import { type Ctx, commit, demand } from "#domain/context";

/**
 * Replaces the whole config of a channel; deliveries use the new one from their next attempt on (platform R352, R353).
 * A webhook that is given no secret gets a new one, which is shown here and never again.
 */
export async function rotateChannelConfig(ctx: Ctx, id: string, raw: Record<string, string>): Promise<CreatedChannel> {
  demand(ctx.actor, "channel:write");
  const { teamId } = ctx.actor;
  const { provider } = await getChannelRow(ctx.db, teamId, id);
  const { generated, ...parsed } = parseConfig(ctx.outbound, provider, raw);
  const sealed = await ctx.secrets.seal(storedConfig(parsed), id);
  const rows = await commit(
    ctx.db,
    replaceConfig(ctx.db, { id, teamId }, sealed, ctx.now()),
    auditIfChanged(ctx, "channel.config_rotated", id, { provider }),
  );
  const [rotated] = rows as Channel[];
  if (!rotated) throw channelNotFound();
  return { ...rotated, secret: generated };
}
