import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { commit } from "#domain/context";
import { sweepEvents } from "#domain/event/announce";
import { emit } from "#domain/event/emit";
import { eventOf, happen, inTeam, logOf, passWaits, received, settled, webhook } from "#test/worker/channels";
import { eventually } from "#test/worker/control";
import { person } from "#test/worker/person";
import { inbox } from "#test/worker/receivers";

test("an event goes to each channel that wants it and to no other, and others' events to none (R356, R357)", async () => {
  const [p, q] = [await person(), await person()];
  const [first, second, unsubscribed] = [await webhook(p), await webhook(p), await webhook(p, ["capsule.destroy"])];
  const theirs = await webhook(q);
  await happen(p, eventOf(p.teamId), eventOf(p.teamId, "capsule.pause"), eventOf(null, "host.up"));
  const [one] = await received(first.box, 1);
  const [two] = await received(second.box, 1);
  for (const request of [one, two]) {
    expect(JSON.parse(String(request?.body))).toMatchObject({ event: "capsule.create", team_id: p.teamId });
  }
  expect(one?.headers["x-wrenn-delivery"]).not.toBe(two?.headers["x-wrenn-delivery"]);
  await happen(p, eventOf(p.teamId, "capsule.destroy"));
  await received(unsubscribed.box, 1);
  for (const { box, count } of [
    { box: first.box, count: 1 },
    { box: second.box, count: 1 },
    { box: theirs.box, count: 0 },
  ]) {
    expect(await box.received()).toHaveLength(count);
  }
  expect(await settled(p, first.id, { state: "delivered" })).toEqual({
    id: one?.headers["x-wrenn-delivery"],
    channel_id: first.id,
    event_id: expect.stringMatching(/^evt_/),
    event: "capsule.create",
    state: "delivered",
    attempts: 1,
    last_status: 200,
    reason: null,
    created_at: expect.any(String),
    attempted_at: expect.any(String),
    next_attempt_at: null,
  });
});

test("the object of all teams delivers nothing", async () => {
  const p = await person();
  const hook = await webhook(p);
  await happen(p, eventOf(p.teamId));
  await received(hook.box, 1);
  await p.ctx.teams.team("platform").nudge();
  expect(await inTeam("platform", "SELECT * FROM deliveries")).toEqual([]);
});

test("events go out in their order, one at a time", async () => {
  const p = await person();
  const hook = await webhook(p);
  await happen(p, ...Array.from({ length: 120 }, (_, i) => eventOf(p.teamId, "capsule.create", `sb_${i}`)));
  const requests = await received(hook.box, 120);
  expect(requests.map(({ body }) => JSON.parse(body).resource.id)).toEqual(
    Array.from({ length: 120 }, (_, i) => `sb_${i}`),
  );
  expect(new Set(requests.map(({ headers }) => headers["x-wrenn-delivery"])).size).toBe(120);
});

test("a failed delivery is tried again after 10 s and 30 s under the same id, and then given up (R359, W1)", async () => {
  const p = await person();
  const hook = await webhook(p);
  await hook.box.reply({ status: 500 }, { status: 302, headers: { location: hook.box.url } }, { drop: true });
  await happen(p, eventOf(p.teamId));
  const waitOf = (delivery: Record<string, unknown>) =>
    Date.parse(String(delivery.next_attempt_at)) - Date.parse(String(delivery.attempted_at));
  const first = await settled(p, hook.id, { attempts: 1, state: "pending", last_status: 500 });
  expect(waitOf(first)).toBeGreaterThanOrEqual(10_000);
  expect(waitOf(first)).toBeLessThan(12_000);
  await passWaits(p.teamId);
  const second = await settled(p, hook.id, { attempts: 2, state: "pending", last_status: 302 });
  expect(waitOf(second)).toBeGreaterThanOrEqual(30_000);
  expect(waitOf(second)).toBeLessThan(34_000);
  await passWaits(p.teamId);
  await settled(p, hook.id, {
    attempts: 3,
    state: "failed",
    last_status: null,
    reason: "unreachable",
    next_attempt_at: null,
  });
  await passWaits(p.teamId);
  const requests = await received(hook.box, 3);
  expect(new Set(requests.map(({ headers }) => headers["x-wrenn-delivery"])).size).toBe(1);
});

test("a retry is made by the object's own alarm, also after eviction (W1, R2)", async () => {
  const p = await person();
  const hook = await webhook(p);
  await hook.box.reply({ status: 503 }, {});
  await happen(p, eventOf(p.teamId));
  await settled(p, hook.id, { attempts: 1, last_status: 503 });
  await inTeam(p.teamId, "UPDATE deliveries SET due = ?", Date.now() + 300);
  await evictDurableObject(env.TEAM.getByName(p.teamId));
  expect(await logOf(p, hook.id)).toMatchObject([{ attempts: 1 }]);
  await settled(p, hook.id, { attempts: 2, state: "delivered" });
});

test("a crash between sending and noting leads to a repeat with the same id, never to a loss (W1)", async () => {
  const p = await person();
  const hook = await webhook(p);
  await hook.box.reply({ hang: true }, {});
  await happen(p, eventOf(p.teamId));
  await received(hook.box, 1);
  const crashed = runInDurableObject(env.TEAM.getByName(p.teamId), (_, state) => state.abort("crash"));
  await expect(crashed).rejects.toThrow("crash");
  const [row] = await inTeam(p.teamId, "SELECT state, attempts, failures, due FROM deliveries");
  expect(row).toMatchObject({ state: "pending", attempts: 1, failures: 0 });
  expect(Number(row?.due) - Date.now()).toBeLessThan(20_000);
  await inTeam(p.teamId, "UPDATE deliveries SET due = 0");
  await evictDurableObject(env.TEAM.getByName(p.teamId));
  await settled(p, hook.id, { state: "delivered", attempts: 2 });
  const [one, two] = await received(hook.box, 2);
  expect(two?.headers["x-wrenn-delivery"]).toBe(one?.headers["x-wrenn-delivery"]);
  expect(two?.body).toBe(one?.body);
});

test("an event whose announcement was lost is delivered after the sweep (W1)", async () => {
  const p = await person();
  const hook = await webhook(p);
  await commit(p.ctx.db, emit(p.ctx, eventOf(p.teamId)));
  expect(await hook.box.received()).toEqual([]);
  await sweepEvents(p.ctx);
  await received(hook.box, 1);
});

test("a given-up delivery can be sent again, and one under way cannot (W1)", async () => {
  const p = await person();
  const hook = await webhook(p);
  await hook.box.reply({ status: 500 });
  await happen(p, eventOf(p.teamId));
  const pending = await settled(p, hook.id, { attempts: 1, last_status: 500 });
  const path = `/v1/channels/${hook.id}/deliveries/${pending.id}/redeliver`;
  expect(await p.call("POST", path)).toMatchObject({ status: 409, body: { error: { code: "conflict" } } });
  for (const [attempts, state] of [
    [2, "pending"],
    [3, "failed"],
  ]) {
    await passWaits(p.teamId);
    await settled(p, hook.id, { attempts, state });
  }
  await hook.box.reply({});
  const again = await p.call("POST", path);
  expect(again).toMatchObject({ status: 202, body: { id: pending.id, state: "pending", attempts: 0, reason: null } });
  await settled(p, hook.id, { state: "delivered", attempts: 1, last_status: 200 });
  const requests = await received(hook.box, 4);
  expect(new Set(requests.map(({ headers }) => headers["webhook-id"]))).toEqual(new Set([pending.id]));
  const other = await webhook(p);
  for (const id of ["x", crypto.randomUUID()]) {
    const answer = await p.call("POST", `/v1/channels/${hook.id}/deliveries/${id}/redeliver`);
    expect(answer).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
  }
  expect((await p.call("POST", path.replace(hook.id, other.id))).status).toBe(404);
});

test("channels that hang, fail or ask for a pause do not delay the others (W1)", async () => {
  const p = await person();
  const slow = await Promise.all(Array.from({ length: 8 }, () => webhook(p)));
  await Promise.all(slow.map(({ box }) => box.reply({ hang: true })));
  const [failing, busy, good] = [await webhook(p), await webhook(p), await webhook(p)];
  await failing.box.reply({ status: 500 });
  await busy.box.reply({ status: 429, headers: { "retry-after": "600" } });
  const startedAt = Date.now();
  await happen(p, eventOf(p.teamId), eventOf(p.teamId));
  await received(good.box, 2);
  expect(Date.now() - startedAt).toBeLessThan(9_000);
  for (const { box } of slow) expect((await box.received()).length).toBe(1);
  await received(failing.box, 2);
  const one = slow[0] as (typeof slow)[number];
  await vi.waitFor(async () => expect((await logOf(p, one.id)).at(-1)).toMatchObject({ reason: "timeout" }), 15_000);
  expect(Date.now() - startedAt).toBeGreaterThan(9_500);
});

test("a receiver that asks for a pause is left alone for so long, at most an hour (W4)", async () => {
  const p = await person();
  const hook = await webhook(p);
  await hook.box.reply({ status: 429, headers: { "retry-after": "86400" } }, {});
  await happen(p, eventOf(p.teamId), eventOf(p.teamId));
  await eventually(async () => expect(await logOf(p, hook.id)).toMatchObject([{ attempts: 0 }, { last_status: 429 }]));
  const [, limited] = await logOf(p, hook.id);
  const wait = Date.parse(String(limited?.next_attempt_at)) - Date.parse(String(limited?.attempted_at));
  expect(wait).toBeGreaterThan(3_590_000);
  expect(wait).toBeLessThan(3_610_000);
  // Behind it nothing is sent either, although it is due.
  await happen(p, eventOf(p.teamId));
  await p.ctx.teams.team(p.teamId).nudge();
  expect(await hook.box.received()).toHaveLength(1);
  await passWaits(p.teamId);
  await received(hook.box, 4);
  await eventually(async () =>
    expect((await logOf(p, hook.id)).map(({ state }) => state)).toEqual(Array(3).fill("delivered")),
  );
});

test("a retry uses the config of its moment, and nothing of the old one (R353)", async () => {
  const p = await person();
  const hook = await webhook(p);
  await hook.box.reply({ status: 500 });
  await happen(p, eventOf(p.teamId));
  await settled(p, hook.id, { attempts: 1, last_status: 500 });
  const box = inbox();
  const rotated = await p.call("PUT", `/v1/channels/${hook.id}/config`, { config: { url: box.url, secret: "new" } });
  expect(rotated.status).toBe(200);
  await passWaits(p.teamId);
  await received(box, 1);
  expect(await hook.box.received()).toHaveLength(1);
});

test("deliveries stop with the channel, with its team, and with the wish for them (R350, R351, A27)", async () => {
  const [p, q] = [await person(), await person()];
  const [deleted, changed, orphan] = [await webhook(p), await webhook(p), await webhook(q)];
  for (const { box } of [deleted, orphan]) await box.reply({ status: 500 });
  await happen(p, eventOf(p.teamId));
  await happen(q, eventOf(q.teamId));
  await Promise.all([
    settled(p, deleted.id, { attempts: 1, last_status: 500 }),
    settled(q, orphan.id, { attempts: 1, last_status: 500 }),
  ]);
  await received(changed.box, 1);
  await p.call("DELETE", `/v1/channels/${deleted.id}`);
  await p.call("PATCH", `/v1/channels/${changed.id}`, { name: "x", events: ["host.up"] });
  await env.DB.prepare("UPDATE teams SET deleted_at = 1 WHERE id = ?").bind(q.teamId).run();
  await eventually(async () =>
    expect(await inTeam(p.teamId, "SELECT * FROM deliveries WHERE channel = ?", deleted.id)).toEqual([]),
  );
  await passWaits(q.teamId);
  await eventually(async () => expect(await inTeam(q.teamId, "SELECT * FROM deliveries")).toEqual([]));
  await happen(p, eventOf(p.teamId));
  await happen(q, eventOf(q.teamId));
  for (const { box } of [deleted, changed, orphan]) expect(await box.received()).toHaveLength(1);
});

test("a channel deleted behind the object's back is dropped at its next attempt (R351)", async () => {
  const p = await person();
  const hook = await webhook(p);
  await hook.box.reply({ status: 500 });
  await happen(p, eventOf(p.teamId));
  await settled(p, hook.id, { attempts: 1, last_status: 500 });
  await env.DB.prepare("DELETE FROM channels WHERE id = ?").bind(hook.id).run();
  await passWaits(p.teamId);
  await eventually(async () => expect(await inTeam(p.teamId, "SELECT * FROM deliveries")).toEqual([]));
  expect(await hook.box.received()).toHaveLength(1);
});

test("the log is paged newest first, and keeps the last 1,000 of a channel for seven days", async () => {
  const p = await person();
  const hook = await webhook(p);
  await happen(p, ...Array.from({ length: 5 }, (_, i) => eventOf(p.teamId, "capsule.create", `sb_${i}`)));
  await received(hook.box, 5);
  const path = `/v1/channels/${hook.id}/deliveries`;
  const pages = [];
  for (let cursor = ""; ; ) {
    const { body } = await p.call("GET", `${path}?limit=2${cursor}`);
    pages.push(body.deliveries.map(({ id }: { id: string }) => id));
    if (body.next_cursor === null) break;
    cursor = `&cursor=${body.next_cursor}`;
  }
  expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
  const sent = (await hook.box.received()).map(({ headers }) => headers["x-wrenn-delivery"]);
  expect(pages.flat()).toEqual(sent.reverse());
  for (const query of ["limit=0", "limit=201", "cursor=x", "cursor=e30"]) {
    expect((await p.call("GET", `${path}?${query}`)).status).toBe(400);
  }

  await eventually(async () =>
    expect((await logOf(p, hook.id)).every(({ state }) => state === "delivered")).toBe(true),
  );
  await inTeam(p.teamId, "UPDATE deliveries SET created_at = ? WHERE seq <= 3", Date.now() - 7 * 86_400_000);
  await happen(p, eventOf(p.teamId));
  expect(
    await eventually(async () => {
      const log = await logOf(p, hook.id);
      expect(log).toHaveLength(3);
      return log;
    }),
  ).toHaveLength(3);
  const copy = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) INSERT INTO deliveries
    (id, channel, event, type, payload, created_at, state, attempts, failures) SELECT 'x' || i, ?, 'e' || i, 't', '{}', ?, 'delivered', 1, 0 FROM n`;
  await inTeam(p.teamId, copy, hook.id, Date.now());
  await happen(p, eventOf(p.teamId));
  await eventually(async () =>
    expect(await inTeam(p.teamId, "SELECT COUNT(*) AS n FROM deliveries")).toEqual([{ n: 1_000 }]),
  );
});
