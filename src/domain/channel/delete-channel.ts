import { auditIfChanged } from "#domain/audit/audit";
import { deleteChannelRow } from "#domain/channel/repo";
import { type Ctx, commit, demand } from "#domain/context";

/**
 * Deletes a channel of the active team; one that the team does not have counts as deleted (platform A26). Nothing is
 * sent to it any more: each attempt reads the channel, and what waits is dropped.
 */
export async function deleteChannel(ctx: Ctx, id: string): Promise<void> {
  demand(ctx.actor, "channel:write");
  const { teamId } = ctx.actor;
  const rows = await commit(ctx.db, deleteChannelRow(ctx.db, teamId, id), auditIfChanged(ctx, "channel.deleted", id));
  if (rows.length > 0) ctx.defer(() => ctx.deliveries.of(teamId).drop(id));
}
