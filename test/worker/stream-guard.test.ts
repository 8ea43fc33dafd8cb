import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { expect, test } from "vitest";
import { commitIdentity, principalsOfUser } from "#domain/principal/commit-identity";
import { SESSION_IDLE_MS } from "#domain/principal/values";
import { users } from "#schema";
import { call, tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";
import { follow, type Stream } from "#test/worker/streams";
import { happen, teams } from "#test/worker/team-events";

const TEAM = "/v1/events/stream";
const ADMIN = "/v1/admin/events/stream";
const SOON_MS = 5_000;

/** Opens a stream and waits until it has begun. */
async function opened(path: string, headers: Record<string, string>): Promise<Stream> {
  const stream = await follow(path, headers);
  await stream.until((text) => text.includes("connected"));
  return stream;
}

const endsSoon = async (stream: Stream) =>
  expect(await stream.ended(SOON_MS)).toMatch(/: the credential ended\nretry: 1000\n\n$/);

const watchesOf = (principal: string) =>
  runInDurableObject(env.PRINCIPAL.getByName(principal), (_, state) => state.getWebSockets().length);

/** Something still arrives; then the stream is closed. */
async function goesOn(stream: Stream, teamId: string): Promise<void> {
  const name = `still there ${crypto.randomUUID()}`;
  await happen(teamId, name);
  await teams.team(teamId).nudge();
  await stream.until((text) => text.includes(name));
  await stream.close();
}

test("T7 the stream of a revoked key ends within five seconds, and no other", async () => {
  const p = await person();
  const key = (await p.call("POST", "/v1/api-keys", { name: "one" })).body;
  const other = (await p.call("POST", "/v1/api-keys", { name: "two" })).body;
  const [doomed, kept, own] = [
    await opened(TEAM, { "x-api-key": key.key }),
    await opened(TEAM, { "x-api-key": other.key }),
    await opened(TEAM, { cookie: p.cookie }),
  ];
  expect((await p.call("DELETE", `/v1/api-keys/${key.id}`)).status).toBe(204);
  await endsSoon(doomed);
  await goesOn(kept, p.teamId);
  await goesOn(own, p.teamId);
});

test("T7 the stream of a session that logged out ends, and that of the same user's other session goes on", async () => {
  const p = await person();
  const device = await p.login();
  const [own, other] = [await opened(TEAM, { cookie: p.cookie }), await opened(TEAM, { cookie: device.cookie })];
  expect((await device.call("POST", "/v1/auth/logout")).status).toBe(204);
  await endsSoon(other);
  await goesOn(own, p.teamId);
});

test("T7 leaving everywhere ends the streams of all sessions, and not those of other people", async () => {
  const p = await person();
  const device = await p.login();
  const mate = await person({ teamId: p.teamId, role: "member" });
  const streams = [await opened(TEAM, { cookie: p.cookie }), await opened(TEAM, { cookie: device.cookie })];
  const theirs = await opened(TEAM, { cookie: mate.cookie });
  expect((await p.call("POST", "/v1/auth/logout-all")).status).toBe(204);
  for (const stream of streams) await endsSoon(stream);
  await goesOn(theirs, p.teamId);
});

test("T7 removing a member ends the streams of their session and of the keys they made", async () => {
  const owner = await person();
  const member = await person({ teamId: owner.teamId, role: "member" });
  const { key } = (await member.call("POST", "/v1/api-keys", { name: "theirs" })).body;
  const [session, byKey] = [await opened(TEAM, { cookie: member.cookie }), await opened(TEAM, { "x-api-key": key })];
  const own = await opened(TEAM, { cookie: owner.cookie });
  expect((await owner.call("DELETE", `/v1/teams/${owner.teamId}/members/${member.userId}`)).status).toBe(204);
  await endsSoon(session);
  await endsSoon(byKey);
  await goesOn(own, owner.teamId);
});

test("T7 who loses the administrator's flag loses that stream and keeps their team's; a lower role may still read", async () => {
  const owner = await person();
  const admin = await person({ teamId: owner.teamId, role: "admin", platformAdmin: true });
  const [all, team] = [await opened(ADMIN, { cookie: admin.cookie }), await opened(TEAM, { cookie: admin.cookie })];
  const demoted = admin.ctx.db.update(users).set({ isPlatformAdmin: false }).where(eq(users.id, admin.userId));
  await commitIdentity(admin.ctx, [admin.userId], demoted);
  await endsSoon(all);
  const path = `/v1/teams/${owner.teamId}/members/${admin.userId}`;
  expect((await owner.call("PATCH", path, { role: "member" })).status).toBe(204);
  await goesOn(team, owner.teamId);
});

test("T7 the streams of a user who was deactivated end, of session and key", async () => {
  const p = await person();
  const { key } = (await p.call("POST", "/v1/api-keys", { name: "theirs" })).body;
  const streams = [await opened(TEAM, { cookie: p.cookie }), await opened(TEAM, { "x-api-key": key })];
  const off = p.ctx.db.update(users).set({ status: "disabled" }).where(eq(users.id, p.userId));
  await commitIdentity(p.ctx, await principalsOfUser(p.ctx.db, p.userId), off);
  for (const stream of streams) await endsSoon(stream);
});

test("T7 a deleted team's streams end, of every member", async () => {
  const owner = await person();
  const member = await person({ teamId: owner.teamId, role: "viewer" });
  const streams = [await opened(TEAM, { cookie: owner.cookie }), await opened(TEAM, { cookie: member.cookie })];
  expect((await owner.call("DELETE", `/v1/teams/${owner.teamId}`)).status).toBe(204);
  for (const stream of streams) await endsSoon(stream);
});

test("T7 the stream of a session ends when the session expires, without a word from anybody", async () => {
  const p = await person();
  const stream = await opened(TEAM, { cookie: p.cookie });
  const object = env.PRINCIPAL.getByName(p.userId);
  await runInDurableObject(object, (_, { storage }) => {
    storage.sql.exec("UPDATE credentials SET seen_at = seen_at - ?", SESSION_IDLE_MS).toArray();
  });
  await runDurableObjectAlarm(object);
  await endsSoon(stream);
});

test("T7 the events of an agent session end with the key that reads them, also after an eviction", async () => {
  const t = await tenant();
  const sessionId = await t.session();
  const stream = await opened(`/api/v1/sessions/${sessionId}/events`, { "x-api-key": t.key });
  await evictDurableObject(env.PRINCIPAL.getByName(t.principal), { webSockets: "hibernate" });
  await t.ctx.principals.principal(t.principal).revoke(t.keyId);
  await endsSoon(stream);
});

test("T7 a watch that broke is opened again, and still ends the stream", async () => {
  const t = await tenant();
  const stream = await opened(TEAM, { "x-api-key": t.key });
  for (let i = 0; i < 3; i++) {
    await evictDurableObject(env.PRINCIPAL.getByName(t.principal), { webSockets: "close" });
    await expect.poll(() => watchesOf(t.principal), { timeout: SOON_MS }).toBe(1);
  }
  await happen(t.teamId, "between");
  await teams.team(t.teamId).nudge();
  await stream.until((text) => text.includes("between"));
  await t.ctx.principals.principal(t.principal).revoke(t.keyId);
  await endsSoon(stream);
});

test("T7 a stream that its reader leaves leaves no watch behind", async () => {
  const t = await tenant();
  const stream = await opened(TEAM, { "x-api-key": t.key });
  expect(await watchesOf(t.principal)).toBe(1);
  await stream.close();
  await expect.poll(() => watchesOf(t.principal), { timeout: SOON_MS }).toBe(0);
});

test("T7 a credential that moved to another team before its stream began does not open it", async () => {
  const p = await person();
  const [credential] = await p.ctx.principals.principal(p.userId).list();
  const watch = p.ctx.principals.principal(p.userId).watch(credential!.id, "event:read", "team_00000000000000000000");
  expect(await watch).toMatchObject({ status: 401, webSocket: null });
});

test("a HEAD request leaves neither a reader nor a watch behind", async () => {
  const t = await tenant();
  const answer = await call("HEAD", TEAM, { headers: { "x-api-key": t.key } });
  expect(answer).toMatchObject({ status: 200, text: "" });
  await expect.poll(() => watchesOf(t.principal), { timeout: SOON_MS }).toBe(0);
});
