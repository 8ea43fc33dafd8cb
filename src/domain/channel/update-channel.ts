import { auditIfChanged } from "#domain/audit/audit";
import { getChannelRow, updateChannelRow } from "#domain/channel/repo";
import { type Channel, demandName, withoutRepeats } from "#domain/channel/values";
import { type Ctx, commit, demand } from "#domain/context";
import { Fault } from "#kernel/fault";

type Input = { name: string; events: readonly string[] };

/** Changes a channel's name and events, and leaves its config alone (platform R350). */
export async function updateChannel(ctx: Ctx, id: string, input: Input): Promise<Channel> {
  demand(ctx.actor, "channel:write");
  const { teamId } = ctx.actor;
  const name = demandName(input.name);
  const events = withoutRepeats(input.events);
  const rows = await commit(
    ctx.db,
    updateChannelRow(ctx.db, { id, teamId, name, events }, ctx.now()),
    auditIfChanged(ctx, "channel.updated", id, { name, events }),
  );
  const [updated] = rows as Channel[];
  if (updated) return updated;
  await getChannelRow(ctx.db, teamId, id);
  throw new Fault("conflict", "another channel of the team has this name");
}
