import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { commit } from "#domain/context";
import { emit } from "#domain/event/emit";
import type { TeamEvent } from "#protocol/team-feed";
import { eventually } from "#test/worker/control";
import type { Person } from "#test/worker/person";
import { inbox } from "#test/worker/receivers";

export type Inbox = ReturnType<typeof inbox>;

/** A webhook of a person's team that goes to an inbox of its own. */
export async function webhook(owner: Person, events: string[] = ["capsule.create"], box = inbox()) {
  const name = `hook-${crypto.randomUUID().slice(0, 8)}`;
  const body = { name, provider: "webhook", config: { url: box.url }, events };
  const answer = await owner.call("POST", "/v1/channels", body);
  expect(answer.status).toBe(201);
  return { id: answer.body.id as string, name, secret: answer.body.secret as string, box };
}

type Kind = TeamEvent["type"];

/** Something that happened in a team. */
export const eventOf = (teamId: string | null, type: Kind = "capsule.create", resourceId = "sb_1"): TeamEvent =>
  ({
    type,
    teamId,
    ...(!type.startsWith("host.") && { outcome: "success" }),
    resource: { id: resourceId, type: "sandbox" },
    actor: { type: "user", id: "usr_1", name: "Ann" },
    metadata: {},
    at: Date.now(),
  }) as TeamEvent;

/** Commits events as a change does, and has the team's log take them up. */
export async function happen(owner: Person, ...events: TeamEvent[]): Promise<void> {
  const [first, ...rest] = events.map((event) => emit(owner.ctx, event));
  if (first) await commit(owner.ctx.db, first, ...rest);
  await owner.ctx.teams.team(owner.teamId).nudge();
}

export const received = (box: Inbox, count: number) =>
  eventually(async () => {
    const requests = await box.received();
    expect(requests).toHaveLength(count);
    return requests;
  });

/** A channel's log through the API, newest first. */
export const logOf = async (owner: Person, id: string, query = "") =>
  (await owner.call("GET", `/v1/channels/${id}/deliveries${query}`)).body.deliveries as Record<string, unknown>[];

/** Waits until the only delivery of a channel looks like this. */
export const settled = (owner: Person, id: string, state: Record<string, unknown>) =>
  eventually(async () => {
    const log = await logOf(owner, id);
    expect(log).toMatchObject([state]);
    return log[0] as Record<string, unknown>;
  });

/** Changes rows of a team's object. */
export const inTeam = (teamId: string, sql: string, ...values: unknown[]) =>
  runInDurableObject(env.TEAM.getByName(teamId), async (_, { storage }) => {
    const rows = storage.sql.exec(sql, ...(values as string[])).toArray();
    await storage.sync();
    return rows;
  });

/** Lets the waits of a team's deliveries be over, once no attempt is under way. */
export async function passWaits(teamId: string): Promise<void> {
  const open = "SELECT COUNT(*) AS n FROM deliveries WHERE state = 'pending' AND attempts > failures";
  await eventually(async () => expect(await inTeam(teamId, open)).toEqual([{ n: 0 }]));
  await inTeam(teamId, "UPDATE deliveries SET due = 0 WHERE due IS NOT NULL");
  await inTeam(teamId, "UPDATE pauses SET until = 0");
  await runInDurableObject(env.TEAM.getByName(teamId), (object) => object.alarm());
}
