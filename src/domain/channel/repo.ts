import { and, asc, eq, isNull, type SQL, sql } from "drizzle-orm";
import { type Channel, type ChannelRow, MAX_CHANNELS } from "#domain/channel/values";
import { insertWhere } from "#domain/conditional";
import type { Db } from "#domain/context";
import { Fault } from "#kernel/fault";
import { channels, teams } from "#schema";

/** What may be shown of a channel. */
const SHOWN = {
  id: channels.id,
  teamId: channels.teamId,
  name: channels.name,
  provider: channels.provider,
  events: channels.events,
  createdBy: channels.createdBy,
  createdAt: channels.createdAt,
  updatedAt: channels.updatedAt,
};

const inTeam = (teamId: string, id: string) => and(eq(channels.id, id), eq(channels.teamId, teamId));

export const channelNotFound = () => new Fault("channel_not_found", "channel not found");

export async function findChannel(db: Db, teamId: string, id: string): Promise<Channel | undefined> {
  const [row] = await db.select(SHOWN).from(channels).where(inTeam(teamId, id));
  return row;
}

/** A channel of the team; throws `channel_not_found` when the team has no such channel. */
export async function getChannelRow(db: Db, teamId: string, id: string): Promise<Channel> {
  const row = await findChannel(db, teamId, id);
  if (!row) throw channelNotFound();
  return row;
}

/** Channels of a team, oldest first. */
export const listChannelRows = (db: Db, teamId: string): Promise<Channel[]> =>
  db.select(SHOWN).from(channels).where(eq(channels.teamId, teamId)).orderBy(asc(channels.createdAt), asc(channels.id));

/** Which channels of a team want which events; none of a team that was deleted. */
export const listSubscriptions = (db: Db, teamId: string): Promise<Pick<Channel, "id" | "events">[]> =>
  db
    .select({ id: channels.id, events: channels.events })
    .from(channels)
    .innerJoin(teams, eq(teams.id, channels.teamId))
    .where(and(eq(channels.teamId, teamId), isNull(teams.deletedAt)))
    .orderBy(asc(channels.createdAt), asc(channels.id));

export type Target = { config: string; teamName: string };

/** Where a channel's notifications go at this moment; undefined once the channel or its team is gone. */
export async function findTarget(db: Db, teamId: string, id: string): Promise<Target | undefined> {
  const [row] = await db
    .select({ config: channels.config, teamName: teams.name })
    .from(channels)
    .innerJoin(teams, eq(teams.id, channels.teamId))
    .where(and(inTeam(teamId, id), isNull(teams.deletedAt)));
  return row;
}

const other = sql.raw("other");
/** Whether no other channel of the team has the name. */
const isFree = ({ teamId, name, id }: Pick<ChannelRow, "teamId" | "name" | "id">): SQL =>
  sql`NOT EXISTS (SELECT 1 FROM ${channels} AS ${other} WHERE ${other}.team_id = ${teamId} AND ${other}.name = ${name} AND ${other}.id <> ${id})`;

/** Inserts a channel if its name is free and the team has room for it; answers its id when it did. */
export function insertChannel(db: Db, row: ChannelRow) {
  const count = sql`(SELECT COUNT(*) FROM ${channels} WHERE ${eq(channels.teamId, row.teamId)})`;
  return insertWhere(db, channels, row, sql`${isFree(row)} AND ${count} < ${MAX_CHANNELS}`)
    .onConflictDoNothing()
    .returning({ id: channels.id });
}

export async function countChannels(db: Db, teamId: string): Promise<number> {
  return db.$count(channels, eq(channels.teamId, teamId));
}

type Change = Pick<ChannelRow, "id" | "teamId" | "name" | "events">;

/** Changes name and events if the name is free; answers the row when it did. Its time moves in any case. */
export const updateChannelRow = (db: Db, change: Change, now: number) =>
  db
    .update(channels)
    .set({ name: change.name, events: change.events, updatedAt: later(now) })
    .where(and(inTeam(change.teamId, change.id), isFree(change)))
    .returning(SHOWN);

export const replaceConfig = (db: Db, { id, teamId }: Pick<ChannelRow, "id" | "teamId">, config: string, now: number) =>
  db
    .update(channels)
    .set({ config, updatedAt: later(now) })
    .where(inTeam(teamId, id))
    .returning(SHOWN);

export const deleteChannelRow = (db: Db, teamId: string, id: string) =>
  db.delete(channels).where(inTeam(teamId, id)).returning({ id: channels.id });

const later = (now: number) => sql`MAX(${now}, ${channels.updatedAt} + 1)`;
