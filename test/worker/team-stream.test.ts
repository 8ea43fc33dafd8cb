import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { EventSourceMessage } from "eventsource-parser";
import { expect, test, vi } from "vitest";
import { announce } from "#domain/event/announce";
import { newTeam } from "#test/worker/control";
import { call, tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";
import { eventsIn, follow } from "#test/worker/streams";
import { happen, teams } from "#test/worker/team-events";

const PATH = "/v1/events/stream";
const ADMIN = "/v1/admin/events/stream";

const told = async (teamId: string | null, name: string) => {
  await happen(teamId, name);
  await announce(teams, teamId);
};
const shown = ({ data }: EventSourceMessage) => JSON.parse(data);
const stored = (text: string) => eventsIn(text).filter(({ event }) => event !== "connected");
const names = (events: EventSourceMessage[]) => events.map((event) => shown(event).resource?.id);

test("R361 R378 a key and a session open the stream; nothing else does", async () => {
  const [t, p] = [await tenant(), await person()];
  for (const headers of [{ "x-api-key": t.key }, { cookie: p.cookie }]) {
    const stream = await follow(PATH, headers);
    expect(stream.headers.get("content-type")).toBe("text/event-stream");
    expect(stream.headers.get("cache-control")).toBe("no-cache, no-transform");
    expect(stream.headers.get("x-accel-buffering")).toBe("no");
    await stream.close();
  }
  for (const headers of [{}, { "x-api-key": "wrn_0" }, { cookie: "wrenn_sid=x" }, { "x-host-token": "x" }]) {
    expect(await call("GET", PATH, { headers })).toMatchObject({
      status: 401,
      body: { error: { code: "unauthorized" } },
    });
  }
});

test("R363 the stream of all teams takes a platform administrator's session alone", async () => {
  const [t, p, admin] = [await tenant(), await person(), await person({ platformAdmin: true })];
  expect((await call("GET", ADMIN)).status).toBe(401);
  expect((await t.call("GET", ADMIN)).status).toBe(401);
  expect(await p.call("GET", ADMIN)).toMatchObject({ status: 403, body: { error: { code: "forbidden" } } });
  const stream = await follow(ADMIN, { cookie: admin.cookie });
  await stream.close();
});

test("R361 a user without a team has no stream", async () => {
  const p = await person();
  await env.DB.prepare("DELETE FROM memberships WHERE user_id = ?").bind(p.userId).run();
  expect(await p.call("GET", PATH)).toMatchObject({ status: 403, body: { error: { code: "no_team" } } });
});

test("R364 R366 R373 the first frame is `connected`; the name of each stands in its data too, with a time", async () => {
  const t = await tenant();
  const stream = await follow(PATH, { "x-api-key": t.key });
  const [connected] = await stream.events(1);
  expect(connected?.event).toBe("connected");
  expect(Object.keys(shown(connected!)).sort()).toEqual(["event", "timestamp"]);
  await told(t.teamId, "host_1");
  const events = await stream.events(2);
  for (const one of events) {
    expect(shown(one).event).toBe(one.event);
    expect(new Date(shown(one).timestamp).toISOString()).toBe(shown(one).timestamp);
    expect(one.data).not.toMatch(/[\r\n]/);
  }
  expect(shown(events[1]!)).toEqual({
    event: "host.up",
    resource: { id: "host_1", type: "host" },
    actor: { type: "system", id: "system", name: "system" },
    metadata: {},
    timestamp: expect.any(String),
  });
  await stream.close();
});

test("R362 a stream has its team's events alone; the administrators' has everybody's and the platform's", async () => {
  const [mine, theirs, admin] = [await tenant(), await tenant(), await person({ platformAdmin: true })];
  const own = await follow(PATH, { "x-api-key": mine.key });
  const all = await follow(ADMIN, { cookie: admin.cookie });
  await Promise.all([own.events(1), all.events(1)]);
  await told(theirs.teamId, "theirs");
  await told(null, "the platform's");
  await told(mine.teamId, "mine");
  expect(names(await all.events(4)).slice(1)).toEqual(["theirs", "the platform's", "mine"]);
  expect(names(await own.events(2)).slice(1)).toEqual(["mine"]);
  await Promise.all([own.close(), all.close()]);
});

test("R377 S1 cut after any byte and resumed from the last id, nothing is lost or doubled", async () => {
  const t = await tenant();
  const headers = { "x-api-key": t.key };
  const live = await follow(PATH, headers);
  await live.events(1);
  for (let i = 0; i < 5; i++) await told(t.teamId, `äöü 👋 ${i}`);
  const text = await live.until((now) => stored(now).length === 5 && now.endsWith("\n\n"));
  await live.close();
  const all = stored(text);
  expect(new Set(all.map(({ id }) => id)).size).toBe(5);

  const tails = new Map<string, EventSourceMessage[]>();
  const tailOf = async (id: string, missing: number) => {
    const stream = await follow(PATH, { ...headers, "last-event-id": id });
    const tail = stored(await stream.until((now) => stored(now).length === missing && now.endsWith("\n\n")));
    await stream.close();
    return tail;
  };
  const bytes = new TextEncoder().encode(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const seen = eventsIn(new TextDecoder().decode(bytes.slice(0, cut), { stream: true }));
    const last = seen.at(-1)?.id;
    if (last === undefined) continue;
    const before = seen.filter(({ event }) => event !== "connected");
    if (!tails.has(last)) tails.set(last, await tailOf(last, all.length - before.length));
    expect([...before, ...(tails.get(last) ?? [])]).toEqual(all);
  }
  expect(tails.size).toBe(6);
});

test("S2 an id of another stream, of the future or of nowhere gets everything, after a comment that says why", async () => {
  const [t, other] = [await tenant(), await tenant()];
  for (const name of ["a", "b"]) await told(t.teamId, name);
  const theirs = await follow(PATH, { "x-api-key": other.key });
  const [foreign] = await theirs.events(1);
  const mine = await follow(PATH, { "x-api-key": t.key });
  const [here] = await mine.events(1);
  expect(here?.id).toMatch(/^[0-9a-z]{6}-2$/);
  await Promise.all([mine.close(), theirs.close()]);
  for (const id of ["garbage", "1", foreign!.id!, here!.id!.replace(/2$/, "3"), here!.id!.replace(/2$/, "-1")]) {
    const stream = await follow(PATH, { "x-api-key": t.key, "last-event-id": id });
    const text = await stream.until((now) => stored(now).length === 2);
    expect(names(stored(text)), id).toEqual(["a", "b"]);
    expect(text, id).toMatch(/\n\n: the last event id [a-z' ]+; what is kept follows\n\nid: /);
    await stream.close();
  }
});

test.for(["hibernate", "close"] as const)(
  "a reader goes on over an eviction that would %s its socket",
  async (webSockets) => {
    const t = await tenant();
    const stream = await follow(PATH, { "x-api-key": t.key });
    await stream.events(1);
    await evictDurableObject(env.TEAM.getByName(t.teamId), { webSockets });
    // Not announced while the socket may be down: a stream without an id knows all the same where it began.
    await told(t.teamId, "one");
    await evictDurableObject(env.PRINCIPAL.getByName(t.principal), { webSockets });
    await told(t.teamId, "two");
    expect(names(await stream.events(3)).slice(1)).toEqual(["one", "two"]);
    await stream.close();
  },
);

test("R375 a state change reaches live readers only: no id, no row, no place in the log", async () => {
  const t = await tenant();
  const headers = { "x-api-key": t.key };
  const stream = await follow(PATH, headers);
  const [begin] = await stream.events(1);
  const actor = { type: "system", id: "system", name: "system" } as const;
  const metadata = { from: "starting", to: "running" };
  const resource = { id: "sb_00000000000000000000", type: "sandbox" } as const;
  await teams
    .team(t.teamId)
    .tell({ type: "capsule.state.changed", teamId: t.teamId, resource, actor, metadata, at: 0 });
  await told(t.teamId, "after");
  const [, transient, after] = await stream.events(3);
  expect(transient?.id).toBeUndefined();
  expect(shown(transient!)).toMatchObject({ event: "capsule.state.changed", metadata, sandbox: null });
  expect(shown(transient!)).not.toHaveProperty("outcome");
  const again = await follow(PATH, { ...headers, "last-event-id": begin!.id! });
  expect((await again.events(2)).at(1)).toEqual(after);
  await Promise.all([stream.close(), again.close()]);
});

test("R376 S3 a reader that takes nothing is cut and holds up nobody", async () => {
  const t = await tenant();
  const headers = { "x-api-key": t.key };
  const idle = await follow(PATH, headers);
  const reading = await follow(PATH, headers);
  await Promise.all([idle.events(1), reading.events(1)]);
  const big = "x".repeat(200_000);
  for (let i = 0; i < 12; i++) {
    await told(t.teamId, `${i} ${big}`);
    await reading.events(i + 2);
  }
  const text = await idle.ended();
  expect(text).toContain(": too slow, resume from the last id\nretry: 1000\n\n");
  const seen = stored(text);
  expect(seen.length).toBeLessThan(12);
  const rest = await follow(PATH, { ...headers, "last-event-id": seen.at(-1)!.id! });
  const tail = await rest.until((now) => stored(now).length === 12 - seen.length);
  const order = [...seen, ...stored(tail)].map((event) => Number.parseInt(shown(event).resource.id, 10));
  expect(order).toEqual(Array.from({ length: 12 }, (_, i) => i));
  await Promise.all([reading.close(), rest.close()]);
});

test.for([
  { path: () => PATH, comment: ": keepalive\n\n", everyMs: 30_000 },
  { path: (sessionId: string) => `/api/v1/sessions/${sessionId}/events`, comment: ": keep-alive\n\n", everyMs: 15_000 },
])("R365 a stream gives its sign of life every $everyMs ms", async ({ path, comment, everyMs }) => {
  const t = await tenant();
  const target = path(await t.session());
  const real = globalThis.setInterval;
  const asked: unknown[] = [];
  const quick = vi.spyOn(globalThis, "setInterval").mockImplementation(((work: () => void, ms: number) => {
    asked.push(ms);
    return real(work, ms / 1_000);
  }) as never);
  const stream = await follow(target, { "x-api-key": t.key });
  quick.mockRestore();
  expect(await stream.until((now) => now.split(comment).length > 3)).toMatch(new RegExp(`(${comment}){3}$`));
  expect(asked).toEqual([everyMs]);
  await stream.close();
});

test("S4 no name makes a field or a frame of its own", async () => {
  const t = await tenant();
  const hostile = [
    "\r",
    "\n",
    "\r\n\r\n",
    "\u0000",
    "\u2028",
    "\u2029",
    "\u0085",
    "\ufeff",
    "data: x\n\nevent: host.down\n\n",
  ];
  const stream = await follow(PATH, { "x-api-key": t.key });
  for (const name of hostile) await told(t.teamId, name);
  const events = await stream.events(hostile.length + 1);
  expect(names(events).slice(1)).toEqual(hostile);
  expect(events.slice(1).every(({ event }) => event === "host.up")).toBe(true);
  await stream.close();
});

test("a thousand readers of one team all get an event, once", async () => {
  const team = newTeam();
  const counts: number[] = [];
  const open = Array.from({ length: 1_000 }, async (_, i) => {
    const { webSocket } = await teams.team(team).openFeed(undefined);
    counts[i] = 0;
    webSocket!.addEventListener("message", ({ data }) => {
      counts[i]! += JSON.parse(String(data)).events.length;
    });
    webSocket!.accept();
  });
  await Promise.all(open);
  await told(team, "for all");
  await expect.poll(() => counts.filter((n) => n === 1).length, { timeout: 10_000 }).toBe(1_000);
});
