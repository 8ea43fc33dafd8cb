import { env } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import { commit } from "#domain/context";
import { emit } from "#domain/event/emit";
import { newId } from "#kernel/id";
import { teamPort } from "#platform/event/port";
import type { FeedEvent, FeedRequest } from "#protocol/feed";
import { TeamFrame } from "#protocol/team-feed";

const db = drizzle(env.DB);
const ids = { newId: (kind: Parameters<typeof newId>[0]) => newId(kind, Date.now()) };

export const teams = teamPort(env);

/** Commits a host's event of a team, named by `name`, and announces it to nobody. */
export async function happen(teamId: string | null, name: string, at = Date.now()): Promise<void> {
  const actor = { type: "system", id: "system", name: "system" } as const;
  const resource = { id: name, type: "host" } as const;
  await commit(db, emit({ db, ...ids }, { type: "host.up", teamId, resource, actor, metadata: {}, at }));
}

/** A reader of a team's feed below HTTP: it asks for page after page and keeps everything. */
export async function readFeed(teamId: string, lastEventId?: string) {
  const { webSocket: socket, status } = await teams.team(teamId).openFeed(lastEventId);
  if (!socket) throw new Error(`no socket, status ${status}`);
  const reader = {
    socket,
    log: "",
    after: -1,
    live: false,
    reset: undefined as string | undefined,
    events: [] as FeedEvent[],
    /** Ids of the sandboxes that frames carried. */
    sandboxes: [] as string[],
  };
  socket.addEventListener("message", ({ data }) => {
    const { log = "", after = -1, live, reset, events, sandboxes } = TeamFrame.parse(JSON.parse(String(data)));
    Object.assign(reader, { log, after, live: reader.live || live, reset: reader.reset ?? reset });
    reader.events.push(...events);
    reader.sandboxes.push(...sandboxes.map(({ id }) => id));
    if (!live) socket.send(JSON.stringify({ v: 1, type: "more", after } satisfies FeedRequest));
  });
  socket.accept();
  return reader;
}

/** What the events of a feed are about, in order. */
export const namesOf = (events: readonly FeedEvent[]): string[] =>
  events.map(({ data }) => JSON.parse(data).resource.id);
