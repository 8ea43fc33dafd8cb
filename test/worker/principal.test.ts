import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { and, eq } from "drizzle-orm";
import { afterEach, expect, test, vi } from "vitest";
import { commitIdentity, principalsOfTeams, principalsOfUser } from "#domain/principal/commit-identity";
import { issueApiKey } from "#domain/principal/issue-api-key";
import { csrfTokenOf, SESSION_IDLE_MS, SESSION_LIFE_MS } from "#domain/principal/values";
import { sha256 } from "#kernel/digest";
import { HOUR, MINUTE, SECOND } from "#kernel/time";
import { memberships, teams, users } from "#schema";
import { eventually } from "#test/worker/control";
import { call, rowOf, tenant } from "#test/worker/harness";
import { browser, person } from "#test/worker/person";

afterEach(() => vi.restoreAllMocks());

const WORKSPACES = "/api/v1/workspaces";
const objectOf = (name: string) => env.PRINCIPAL.getByName(name);
const at = (ms: number) => vi.spyOn(Date, "now").mockReturnValue(ms);

test("a session and its anti-forgery value open what a key opens, and neither alone does (T8)", async () => {
  const p = await person();
  const body = { name: "w", runtime: "base" };
  expect((await p.call("GET", WORKSPACES)).status).toBe(200);
  expect((await call("GET", WORKSPACES, { headers: { cookie: `wrenn_sid=${p.token}` } })).status).toBe(200);
  expect((await p.call("POST", WORKSPACES, body)).status).toBe(201);
  const other = await person();
  for (const headers of [
    { cookie: `wrenn_sid=${p.token}` },
    { cookie: p.cookie },
    { cookie: `wrenn_sid=${p.token}`, "x-csrf-token": p.csrf },
    { cookie: `wrenn_sid=${p.token}; wrenn_csrf=`, "x-csrf-token": "" },
    { cookie: `wrenn_sid=${p.token}; wrenn_csrf=${other.csrf}`, "x-csrf-token": other.csrf },
    { cookie: `${p.cookie}; wrenn_csrf=${p.csrf}`, "x-csrf-token": p.csrf },
    { cookie: p.cookie, "x-csrf-token": p.csrf, origin: "https://evil.example" },
    { cookie: p.cookie, "x-csrf-token": p.csrf, origin: "null" },
    { cookie: p.cookie, "x-csrf-token": p.csrf, "sec-fetch-site": "cross-site" },
  ]) {
    const answer = await call("POST", WORKSPACES, { body, headers: headers as Record<string, string> });
    expect(answer, JSON.stringify(headers)).toMatchObject({ status: 403, body: { error: { code: "csrf_failed" } } });
  }
});

test.for<[why: string, cookie: (token: string, csrf: string) => string]>([
  ["another secret", (token) => `wrenn_sid=${token.slice(0, -2)}AA`],
  ["two session cookies", (token) => `wrenn_sid=${token}; wrenn_sid=${token}`],
  ["a planted one before it", (token) => `wrenn_sid=x; wrenn_sid=${token}`],
  ["quotes", (token) => `wrenn_sid="${token}"`],
  ["an empty one", () => "wrenn_sid="],
  ["the anti-forgery value", (_, csrf) => `wrenn_sid=${csrf}`],
  ["eight kilobytes", () => `wrenn_sid=${"a".repeat(8_192)}`],
])("a session cookie that is %s is refused and taken back (R16, T4)", async ([, cookie]) => {
  const p = await person();
  const answer = await call("GET", WORKSPACES, { headers: { cookie: cookie(p.token, p.csrf) } });
  expect(answer.status).toBe(401);
  const taken = answer.headers.getSetCookie();
  expect(taken.map((text) => text.slice(0, text.indexOf(";")))).toEqual(["wrenn_sid=", "wrenn_csrf="]);
  expect(taken.every((text) => text.includes("Max-Age=0"))).toBe(true);
});

test("the id by which a session is listed is no credential (R52)", async () => {
  const p = await person();
  const hash = await sha256(p.token);
  for (const token of [hash, `${p.token.slice(0, 21)}${hash.slice(0, 43)}`]) {
    const fake = await browser(token);
    expect((await fake.call("GET", WORKSPACES)).status).toBe(401);
  }
  expect((await call("GET", WORKSPACES, { headers: { "x-api-key": p.token } })).status).toBe(401);
});

test("a session lives on while it is used, and ends six idle hours after (R43)", async () => {
  const p = await person();
  const start = Date.now();
  for (const hours of [5, 10, 15.9]) {
    at(start + hours * HOUR);
    expect((await p.call("GET", WORKSPACES)).status).toBe(200);
    await evictDurableObject(objectOf(p.userId));
  }
  at(start + 15.9 * HOUR + SESSION_IDLE_MS + SECOND);
  expect((await p.call("GET", WORKSPACES)).status).toBe(401);
});

test("a session ends after its whole life, however much it is used (R44)", async () => {
  const p = await person();
  const start = Date.now();
  for (let t = HOUR; t < SESSION_LIFE_MS; t += 5 * HOUR) {
    at(start + t);
    expect((await p.call("GET", WORKSPACES)).status).toBe(200);
  }
  at(start + SESSION_LIFE_MS - SECOND);
  expect((await p.call("GET", WORKSPACES)).status).toBe(200);
  at(start + SESSION_LIFE_MS + SECOND);
  expect((await p.call("GET", WORKSPACES)).status).toBe(401);
});

test("who acts is read once and then remembered, so that a request asks no database", async () => {
  const t = await tenant();
  await t.call("GET", WORKSPACES);
  await env.DB.prepare("UPDATE memberships SET role = 'viewer' WHERE user_id = ?").bind(t.userId).run();
  const made = await t.call("POST", WORKSPACES, { name: "w", runtime: "base" });
  expect(made.status).toBe(201);
});

test("a change of role holds from the next request on, for session and key, also after an eviction (T7)", async () => {
  const p = await person();
  const key = await ownKey(p);
  const create = (role: string) =>
    Promise.all([
      p.call("POST", WORKSPACES, { name: role, runtime: "base" }),
      call("POST", WORKSPACES, { body: { name: role, runtime: "base" }, headers: { "x-api-key": key } }),
    ]).then((answers) => answers.map(({ status }) => status));
  expect(await create("owner")).toEqual([201, 201]);
  const principals = await principalsOfUser(p.ctx.db, p.userId, p.teamId);
  expect(principals).toHaveLength(2);
  const mine = and(eq(memberships.userId, p.userId), eq(memberships.teamId, p.teamId));
  await commitIdentity(p.ctx, principals, p.ctx.db.update(memberships).set({ role: "viewer" }).where(mine));
  expect(await create("viewer")).toEqual([403, 403]);
  for (const name of principals) await evictDurableObject(objectOf(name));
  expect(await create("viewer")).toEqual([403, 403]);
  await commitIdentity(p.ctx, principals, p.ctx.db.delete(memberships).where(mine));
  const gone = await p.call("GET", WORKSPACES);
  expect(gone).toMatchObject({ status: 403, body: { error: { code: "no_team" } } });
  expect((await call("GET", WORKSPACES, { headers: { "x-api-key": key } })).status).toBe(401);
});

test("a request between the warning and the change does not make the old role stick", async () => {
  const p = await person();
  await p.call("GET", WORKSPACES);
  const handle = p.ctx.principals.principal(p.userId);
  await handle.distrust();
  expect((await p.call("POST", WORKSPACES, { name: "w", runtime: "base" })).status).toBe(201);
  // The one who warned commits and is gone before it can say so.
  await p.ctx.db.update(memberships).set({ role: "viewer" }).where(eq(memberships.userId, p.userId));
  await evictDurableObject(objectOf(p.userId));
  expect((await p.call("POST", WORKSPACES, { name: "w", runtime: "base" })).status).toBe(403);
});

test("a credential that is revoked while the directory is read opens nothing any more", async () => {
  const p = await person();
  const device = await p.login();
  const hash = await sha256(device.token);
  const query = new URLSearchParams({ credential: hash, permission: "session:read" });
  const answers = await runInDurableObject(objectOf(p.userId), async (principal) => {
    const askAll = () => [principal.verify(hash), principal.fetch(new Request(`http://principal/?${query}`))] as const;
    await principal.distrust();
    const [before, watched] = await Promise.all(askAll());
    const asked = askAll();
    await principal.revoke(hash);
    const [after, refused] = await Promise.all(asked);
    return [before.ok, watched.status, after.ok, refused.status];
  });
  expect(answers).toEqual([true, 101, false, 401]);
  expect((await device.call("GET", WORKSPACES)).status).toBe(401);
});

test.for(["disabled", "deleted", "inactive"] as const)(
  "a user who is %s acts neither by session nor by key",
  async (status) => {
    const p = await person();
    const key = await ownKey(p);
    const principals = await principalsOfUser(p.ctx.db, p.userId);
    await commitIdentity(p.ctx, principals, p.ctx.db.update(users).set({ status }).where(eq(users.id, p.userId)));
    expect((await p.call("GET", WORKSPACES)).status).toBe(401);
    expect((await call("GET", WORKSPACES, { headers: { "x-api-key": key } })).status).toBe(401);
  },
);

test("the end of a team ends its keys, and leaves its people without a team (R112, R128)", async () => {
  const owner = await person();
  const member = await person({ role: "member", teamId: owner.teamId });
  const key = await ownKey(member);
  const principals = await principalsOfTeams(owner.ctx.db, [owner.teamId]);
  expect(new Set(principals).size).toBe(3);
  const end = owner.ctx.db.update(teams).set({ deletedAt: Date.now() }).where(eq(teams.id, owner.teamId));
  await commitIdentity(owner.ctx, principals, end);
  for (const one of [owner, member]) {
    expect(await one.call("GET", WORKSPACES)).toMatchObject({ status: 403, body: { error: { code: "no_team" } } });
  }
  expect((await call("GET", WORKSPACES, { headers: { "x-api-key": key } })).status).toBe(401);
});

test("a watching socket ends with its credential, and only then (T7)", async () => {
  const p = await person();
  const device = await p.login();
  const [own, other] = [await watch(p.userId, p.token), await watch(p.userId, device.token)];
  const handle = p.ctx.principals.principal(p.userId);
  await handle.recheck();
  await evictDurableObject(objectOf(p.userId));
  await handle.revoke(await sha256(device.token));
  await eventually(() => expect(other.closed).toBe(4001));
  expect(own.closed).toBeUndefined();
  await handle.revokeAll();
  await eventually(() => expect(own.closed).toBe(4001));
});

test("a watching socket ends when its credential expires or its user loses the permission, without a word from anybody", async () => {
  const p = await person();
  const socket = await watch(p.userId, p.token);
  const handle = p.ctx.principals.principal(p.userId);
  await handle.distrust();
  await p.ctx.db.delete(memberships).where(eq(memberships.userId, p.userId));
  expect(await runDurableObjectAlarm(objectOf(p.userId))).toBe(true);
  await eventually(() => expect(socket.closed).toBe(4001));

  const q = await person();
  const idle = await watch(q.userId, q.token);
  await runInDurableObject(objectOf(q.userId), (_, { storage }) => {
    storage.sql.exec("UPDATE credentials SET seen_at = seen_at - ?", SESSION_IDLE_MS).toArray();
  });
  await runDurableObjectAlarm(objectOf(q.userId));
  await eventually(() => expect(idle.closed).toBe(4001));
});

test("a credential that is not live cannot be watched", async () => {
  const p = await person();
  const answer = await p.ctx.principals.principal(p.userId).watch("nonsense", "session:read");
  expect(answer).toMatchObject({ status: 401, webSocket: null });
});

test("an address that was counted leaves nothing behind once its limits are full again (I4)", async () => {
  const name = "address:203.0.113.77";
  const handle = (await person()).ctx.principals.principal(name);
  const limit = { bucket: "login", quota: 2, windowMs: MINUTE };
  const takes = [await handle.take([limit]), await handle.take([limit]), await handle.take([limit])].flat();
  expect(takes.map(({ remaining }) => remaining)).toEqual([1, 0, 0]);
  expect(takes.map(({ retryAfterMs }) => retryAfterMs > 0)).toEqual([false, false, true]);
  at(Date.now() + 2 * HOUR);
  expect(await runDurableObjectAlarm(objectOf(name))).toBe(true);
  const tables = "SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'";
  expect(await runInDurableObject(objectOf(name), (_, { storage }) => storage.sql.exec(tables).toArray())).toEqual([]);
  expect((await handle.take([limit]))[0]).toMatchObject({ remaining: 1, retryAfterMs: 0 });
});

test("when one of several limits is used up none is charged", async () => {
  const handle = (await person()).ctx.principals.principal("subject:x");
  const [tight, wide] = [
    { bucket: "a", quota: 1, windowMs: MINUTE },
    { bucket: "b", quota: 5, windowMs: MINUTE },
  ];
  await handle.take([tight, wide]);
  for (let i = 0; i < 10; i++) await handle.take([tight, wide]);
  expect((await handle.take([wide]))[0]).toMatchObject({ remaining: 3, retryAfterMs: 0 });
});

test("a key's last use is told to the directory (R108)", async () => {
  const t = await tenant();
  expect(await rowOf("api_keys", t.keyId)).toMatchObject({ last_used_at: null });
  const before = Date.now();
  await t.call("GET", WORKSPACES);
  await eventually(async () => expect((await rowOf("api_keys", t.keyId))?.last_used_at).toBeGreaterThanOrEqual(before));
});

test("an anti-forgery value belongs to one session and tells nothing of it", async () => {
  const p = await person();
  const again = await p.login();
  expect(new Set([p.csrf, again.csrf, await sha256(p.token), p.token]).size).toBe(4);
  expect(await csrfTokenOf(p.token)).toBe(p.csrf);
});

/** An API key of a person's in their team. */
async function ownKey(p: Awaited<ReturnType<typeof person>>): Promise<string> {
  return (await issueApiKey(p.ctx, { teamId: p.teamId, userId: p.userId, name: "test" })).key;
}

/** A socket that watches a session; `closed` is the code it was closed with. */
async function watch(userId: string, token: string): Promise<{ closed: number | undefined }> {
  const seen: { closed: number | undefined } = { closed: undefined };
  const { webSocket } = await (await person()).ctx.principals
    .principal(userId)
    .watch(await sha256(token), "session:read");
  if (!webSocket) throw new Error("the socket was refused");
  webSocket.addEventListener("close", ({ code }) => {
    seen.closed = code;
  });
  webSocket.accept();
  return seen;
}
