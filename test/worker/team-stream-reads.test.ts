import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import type { EventSourceMessage } from "eventsource-parser";
import { afterEach, expect, test, vi } from "vitest";
import { announce } from "#domain/event/announce";
import { emit } from "#domain/event/emit";
import { newId } from "#kernel/id";
import { eventually, newSandbox } from "#test/worker/control";
import { tenant } from "#test/worker/harness";
import { follow } from "#test/worker/streams";
import { happen, namesOf, readFeed, teams } from "#test/worker/team-events";

const PATH = "/v1/events/stream";
const SYSTEM = { type: "system", id: "system", name: "system" } as const;
const shown = ({ data }: EventSourceMessage) => JSON.parse(data);
const db = drizzle(env.DB);

afterEach(() => vi.restoreAllMocks());

function pauseOf(teamId: string, id: string) {
  const resource = { id, type: "sandbox" } as const;
  const what = { type: "capsule.pause", outcome: "success", teamId, resource, actor: SYSTEM, metadata: {} } as const;
  return { ...what, at: Date.now() };
}

/** Commits that a capsule of a team was paused, and announces it to nobody. */
async function paused(teamId: string, id: string): Promise<void> {
  await emit({ db, newId: (kind) => newId(kind, Date.now()) }, pauseOf(teamId, id));
}

/** Reads of sandboxes in the directory, by whomever, from now on; they wait while they are held. */
function readsOfSandboxes() {
  const seen = { count: 0, held: false };
  const prototype = Object.getPrototypeOf(env.DB) as D1Database;
  const { prepare } = prototype;
  vi.spyOn(prototype, "prepare").mockImplementation(function (this: D1Database, sql: string) {
    const statement = prepare.call(this, sql);
    if (!sql.startsWith("select") || !sql.includes('from "sandboxes"')) return statement;
    seen.count++;
    const bind = statement.bind.bind(statement);
    statement.bind = (...values) => {
      const bound = bind(...values);
      const raw = bound.raw.bind(bound) as () => Promise<unknown>;
      return Object.assign(bound, {
        raw: async () => {
          while (seen.held) await scheduler.wait(5);
          return raw();
        },
      });
    };
    return statement;
  });
  return seen;
}

test("R369 capsules are read once for all readers of an event, once for a page of the past, and for nobody never", async () => {
  const t = await tenant();
  const headers = { "x-api-key": t.key };
  const id = await newSandbox(t.teamId);
  const reads = readsOfSandboxes();
  await paused(t.teamId, id);
  await announce(teams, t.teamId);
  expect(reads.count).toBe(0);

  const readers = await Promise.all(Array.from({ length: 5 }, () => follow(PATH, headers)));
  const [[connected]] = (await Promise.all(readers.map((reader) => reader.events(1)))) as [[EventSourceMessage]];
  for (let i = 0; i < 3; i++) await paused(t.teamId, id);
  await announce(teams, t.teamId);
  const all = await Promise.all(readers.map((reader) => reader.events(4)));
  for (const events of all) {
    expect(events.slice(1).map((event) => shown(event).sandbox)).toEqual(
      [1, 2, 3].map(() => expect.objectContaining({ id })),
    );
  }
  expect(reads.count).toBe(1);

  const late = await follow(PATH, { ...headers, "last-event-id": connected.id! });
  expect((await late.events(4)).slice(1)).toEqual(all[0]!.slice(1));
  expect(reads.count).toBe(2);
  await Promise.all([...readers, late].map((reader) => reader.close()));
});

const next = async (teamId: string, name: string) => {
  await happen(teamId, name);
  await teams.team(teamId).nudge();
};

test("S1 what happens while the capsules of a page or of a frame are read is told after them, once", async () => {
  const { teamId } = await tenant();
  const id = await newSandbox(teamId);
  const live = await readFeed(teamId);
  await eventually(() => expect(live.live).toBe(true));
  const reads = readsOfSandboxes();
  reads.held = true;
  await paused(teamId, id);
  await teams.team(teamId).nudge();
  await eventually(() => expect(reads.count).toBe(1));
  const opening = readFeed(teamId, `${live.log}-0`);
  await eventually(() => expect(reads.count).toBe(2));
  await next(teamId, "meanwhile");
  expect(live.events).toEqual([]);
  reads.held = false;
  const behind = await opening;
  await next(teamId, "after");
  for (const reader of [live, behind]) {
    await eventually(() => expect(namesOf(reader.events)).toEqual([id, "meanwhile", "after"]));
    expect(reader.events.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  }
});

test("S1 a reader that is not live yet gets what nobody else was there to hear", async () => {
  const { teamId } = await tenant();
  const id = await newSandbox(teamId);
  await paused(teamId, id);
  await teams.team(teamId).nudge();
  const reads = readsOfSandboxes();
  reads.held = true;
  const opening = readFeed(teamId, "everything");
  await eventually(() => expect(reads.count).toBe(1));
  await next(teamId, "meanwhile");
  // Timers fire in order, so after this one the object has pushed what it had.
  await runInDurableObject(env.TEAM.getByName(teamId), () => new Promise((resolve) => setTimeout(resolve, 0)));
  reads.held = false;
  const reader = await opening;
  await next(teamId, "after");
  await eventually(() => expect(namesOf(reader.events)).toEqual([id, "meanwhile", "after"]));
});

test("S1 what a crash left untold reaches all readers, with capsules that were read once", async () => {
  const { teamId } = await tenant();
  const id = await newSandbox(teamId);
  const readers = await Promise.all([readFeed(teamId), readFeed(teamId)]);
  for (const reader of readers) await eventually(() => expect(reader.live).toBe(true));
  const stub = env.TEAM.getByName(teamId);
  await runInDurableObject(stub, async (_, { storage }) => {
    const data = JSON.stringify(pauseOf(teamId, id));
    storage.sql.exec("INSERT INTO events VALUES (1, 'capsule.pause', ?, ?)", Date.now(), data);
    storage.sql.exec("UPDATE head SET next = 2");
    await storage.sync();
  });
  const reads = readsOfSandboxes();
  await evictDurableObject(stub);
  await next(teamId, "after");
  for (const reader of readers) {
    await eventually(() => expect(namesOf(reader.events)).toEqual([id, "after"]));
    expect(reader.sandboxes).toEqual([id]);
  }
  expect(reads.count).toBe(1);
});
