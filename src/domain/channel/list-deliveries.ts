import type { LoggedDelivery } from "#domain/channel/ports";
import { getChannelRow } from "#domain/channel/repo";
import { type Ctx, demand } from "#domain/context";
import { Fault } from "#kernel/fault";
import { decodeCursor, encodeCursor, type Page } from "#kernel/page";

type Input = { channelId: string; limit: number; cursor: string | undefined };

/** The last deliveries of a channel, newest first. */
export async function listDeliveries(ctx: Ctx, { channelId, limit, cursor }: Input): Promise<Page<LoggedDelivery>> {
  demand(ctx.actor, "channel:read");
  const before = cursor === undefined ? null : seqOf(cursor);
  const { id, teamId } = await getChannelRow(ctx.db, ctx.actor.teamId, channelId);
  const rows = await ctx.deliveries.of(teamId).list(id, { limit: limit + 1, before });
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, ...(rows.length > limit && last && { nextCursor: encodeCursor({ before: last.seq }) }) };
}

function seqOf(cursor: string): number {
  const { before } = decodeCursor(cursor);
  if (typeof before === "number" && Number.isSafeInteger(before)) return before;
  throw new Fault("invalid_cursor", "the cursor was not issued by this list");
}
