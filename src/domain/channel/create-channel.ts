import { auditIfChanged } from "#domain/audit/audit";
import { parseConfig, readConfig, storedConfig } from "#domain/channel/config";
import { countChannels, findChannel, findTarget, insertChannel } from "#domain/channel/repo";
import { type Channel, demandName, MAX_CHANNELS, type Provider, withoutRepeats } from "#domain/channel/values";
import { type Ctx, commit, demand } from "#domain/context";
import { Fault } from "#kernel/fault";

type Input = { name: string; provider: Provider; config: Record<string, string>; events: readonly string[] };

/** A new channel; `secret` is the one that a webhook without its own was given, shown here and never again (R347). */
export type CreatedChannel = Channel & { secret: string | null };

/** Adds a channel to the active team (platform R341 to R347). Its config is sealed and never shown. */
export async function createChannel(ctx: Ctx, input: Input): Promise<CreatedChannel> {
  demand(ctx.actor, "channel:write");
  const { teamId } = ctx.actor;
  const name = demandName(input.name);
  const { generated, ...parsed } = parseConfig(ctx.outbound, input.provider, input.config);
  const now = ctx.now();
  const channel: Channel = {
    id: ctx.newId("channel"),
    teamId,
    name,
    provider: input.provider,
    events: withoutRepeats(input.events),
    createdBy: ctx.actor.id,
    createdAt: now,
    updatedAt: now,
  };
  const config = await ctx.secrets.seal(storedConfig(parsed), channel.id);
  const { provider, events } = channel;
  const inserted = await commit(
    ctx.db,
    insertChannel(ctx.db, { ...channel, config }),
    auditIfChanged(ctx, "channel.created", channel.id, { name, provider, events }),
  );
  if (inserted.length > 0) return { ...channel, secret: generated };
  // A repeat under one Idempotency-Key finds the channel that the first request made.
  const mine = await findChannel(ctx.db, teamId, channel.id);
  if (mine) return { ...mine, secret: generated && (await storedSecret(ctx, mine)) };
  if ((await countChannels(ctx.db, teamId)) >= MAX_CHANNELS)
    throw new Fault("invalid", `a team has at most ${MAX_CHANNELS} channels`);
  throw new Fault("conflict", "another channel of the team has this name");
}

async function storedSecret(ctx: Ctx, { id, teamId }: Channel): Promise<string | null> {
  const target = await findTarget(ctx.db, teamId, id);
  const stored = target && readConfig(await ctx.secrets.open(target.config, id));
  return stored?.provider === "webhook" ? stored.config.secret : null;
}
