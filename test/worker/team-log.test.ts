import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import { expect, test, vi } from "vitest";
import { sweepEvents } from "#domain/event/announce";
import { PLATFORM } from "#domain/event/ports";
import { KEEP_EVENTS, KEEP_EVENTS_MS, purgeEvents } from "#domain/event/retention";
import { eventually, newTeam } from "#test/worker/control";
import { happen, namesOf, readFeed, teams } from "#test/worker/team-events";

test("R377 a reader without an id gets nothing of the past, and what happens from then on", async () => {
  const team = newTeam();
  await happen(team, "before");
  await teams.team(team).nudge();
  const reader = await readFeed(team);
  await happen(team, "after");
  await teams.team(team).nudge();
  await eventually(() => expect(namesOf(reader.events)).toEqual(["after"]));
});

test("R377 S1 a reader that comes back after any event gets exactly the rest", async () => {
  const team = newTeam();
  const first = await readFeed(team);
  const names = Array.from({ length: 12 }, (_, i) => `e${i}`);
  for (const name of names) await happen(team, name);
  await teams.team(team).nudge();
  await eventually(() => expect(namesOf(first.events)).toEqual(names));
  expect(first.events.map(({ seq }) => seq)).toEqual(names.map((_, i) => i + 1));
  for (let seen = 0; seen <= names.length; seen++) {
    const reader = await readFeed(team, `${first.log}-${seen}`);
    await eventually(() => expect(reader.live).toBe(true));
    expect(namesOf(reader.events)).toEqual(names.slice(seen));
    expect(reader.reset).toBeUndefined();
  }
});

test("R362 a team's log has its own events alone, and the platform's log has all", async () => {
  const [mine, theirs] = [newTeam(), newTeam()];
  await teams.team(PLATFORM).nudge();
  const [own, all] = [await readFeed(mine), await readFeed(PLATFORM)];
  await happen(mine, "mine");
  await happen(theirs, "theirs");
  await happen(null, "nobody's");
  for (const id of [mine, theirs, PLATFORM]) await teams.team(id).nudge();
  await eventually(() => expect(namesOf(all.events)).toEqual(["mine", "theirs", "nobody's"]));
  expect(namesOf(own.events)).toEqual(["mine"]);
});

test("S1 what a crash left unannounced reaches every reader once, in the order of the commits", async () => {
  const team = newTeam();
  const stub = env.TEAM.getByName(team);
  const readers = await Promise.all([readFeed(team), readFeed(team), readFeed(team)]);
  await Promise.all(Array.from({ length: 20 }, (_, i) => happen(team, `lost ${i}`)));
  await sweepEvents({ teams });
  await eventually(() => expect(readers[0]!.events).toHaveLength(20));
  await evictDurableObject(stub);
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => happen(team, `told ${i}`).then(() => teams.team(team).nudge())),
  );
  await sweepEvents({ teams });
  await eventually(() => expect(readers[0]!.events).toHaveLength(40));
  const { results } = await env.DB.prepare("SELECT payload FROM team_events WHERE team_id = ? ORDER BY seq")
    .bind(team)
    .all();
  const committed = results.map(({ payload }) => JSON.parse(String(payload)).resource.id);
  for (const reader of readers) {
    expect(namesOf(reader.events)).toEqual(committed);
    expect(reader.events.map(({ seq }) => seq)).toEqual(committed.map((_, i) => i + 1));
  }
});

test("a transaction that fails leaves the log as it was, and the alarm takes the event up", async () => {
  const team = newTeam();
  const stub = env.TEAM.getByName(team);
  const reader = await readFeed(team);
  vi.spyOn(console, "error").mockImplementation(() => {});
  await happen(team, "kept");
  await runInDurableObject(stub, async (_, { storage }) => {
    storage.sql.exec("CREATE TRIGGER broken BEFORE UPDATE ON head BEGIN SELECT RAISE(FAIL, 'broken'); END");
    await storage.sync();
  });
  await teams.team(team).nudge();
  expect(reader.events).toEqual([]);
  await runInDurableObject(stub, async (_, { storage }) => {
    storage.sql.exec("DROP TRIGGER broken");
    await storage.sync();
  });
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  await eventually(() => expect(reader.events.map(({ seq }) => seq)).toEqual([1]));
});

test("S2 an id that means nothing here gets everything that is kept, and is told why", async () => {
  const [team, other] = [newTeam(), newTeam()];
  for (const name of ["a", "b"]) await happen(team, name);
  await happen(other, "x");
  for (const id of [team, other]) await teams.team(id).nudge();
  const [here, there] = [await readFeed(team), await readFeed(other)];
  for (const id of ["garbage", "7", `${there.log}-1`, `${here.log}-3`, `${here.log}-01`, "", `${here.log}-1\u0000`]) {
    const reader = await readFeed(team, id);
    await eventually(() => expect(reader.live).toBe(true));
    expect(namesOf(reader.events), id).toEqual(["a", "b"]);
    expect(reader.reset, id).toEqual(expect.any(String));
  }
});

test("a log drops its oldest events by number and by age, and then says that they are gone (S2)", async () => {
  const team = newTeam();
  const stub = env.TEAM.getByName(team);
  const { log } = await readFeed(team);
  for (const name of ["a", "b", "c"]) await happen(team, name);
  await teams.team(team).nudge();
  await runInDurableObject(stub, async (_, { storage }) => {
    storage.sql.exec("UPDATE events SET created_at = created_at - ? WHERE seq = 1", KEEP_EVENTS_MS);
    await storage.sync();
  });
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  const aged = await readFeed(team, `${log}-0`);
  await eventually(() => expect(namesOf(aged.events)).toEqual(["b", "c"]));
  expect(aged.reset).toEqual(expect.any(String));

  await runInDurableObject(stub, async (_, { storage }) => {
    storage.sql.exec("UPDATE events SET seq = seq + ?", KEEP_EVENTS);
    storage.sql.exec("UPDATE head SET next = next + ?", KEEP_EVENTS);
    storage.sql.exec("UPDATE events SET seq = 1 WHERE seq = ?", KEEP_EVENTS + 2);
    await storage.sync();
  });
  await evictDurableObject(stub);
  await happen(team, "d");
  await teams.team(team).nudge();
  const cut = await readFeed(team, `${log}-0`);
  await eventually(() => expect(namesOf(cut.events)).toEqual(["c", "d"]));
});

test("rows of the directory go once they are a week old", async () => {
  const team = newTeam();
  const now = Date.now();
  await happen(team, "old", now - KEEP_EVENTS_MS - 1);
  await happen(team, "new", now - KEEP_EVENTS_MS + 60_000);
  await purgeEvents({ db: drizzle(env.DB), now: () => now });
  const { results } = await env.DB.prepare("SELECT payload FROM team_events WHERE team_id = ?").bind(team).all();
  expect(results.map(({ payload }) => JSON.parse(String(payload)).resource.id)).toEqual(["new"]);
});
