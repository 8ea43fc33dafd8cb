import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { expect, test, vi } from "vitest";
import type { Transfer } from "#domain/chunk/ports";
import { commit } from "#domain/context";
import { randomHex } from "#kernel/digest";
import { newId } from "#kernel/id";
import { HOUR } from "#kernel/time";
import { makeHostTokens } from "#platform/host/tokens";
import { templates } from "#schema";
import {
  askMissing,
  chunkOf,
  getChunk,
  gunzip,
  manifestOf,
  objectsOf,
  putChunk,
  sendArchive,
} from "#test/worker/archive-sender";
import { actorOf, ctxOf, newTeam } from "#test/worker/control";
import { call } from "#test/worker/harness";

const ctx = ctxOf(actorOf("", null, "system"));
const newTemplate = () => newId("template", Date.now());

const upload = async (teamId: string, lifeMs = HOUR) => {
  const uploadId = `up-${randomHex(6)}`;
  await ctx.chunks.store(teamId).begin(uploadId, Date.now() + lifeMs);
  return { uploadId, token: await ctx.chunks.issueToken({ act: "put", teamId, hostId: "host_1", uploadId }, lifeMs) };
};
const reader = (teamId: string, root: string) =>
  ctx.chunks.issueToken({ act: "get", teamId, hostId: "host_1", root }, HOUR);

/** A whole archive held by a template that is in the directory. */
async function template(teamId: string, contents: string[]) {
  const { uploadId, token } = await upload(teamId);
  const { root, chunks, sent } = await sendArchive(token, contents);
  const id = newTemplate();
  const store = ctx.chunks.store(teamId);
  const finished = await store.finish(uploadId, root, id, Date.now() + HOUR);
  if (!finished.ok) throw new Error(finished.message);
  const row = { id, name: id, teamId, type: "snapshot", manifest: root, createdBy: "u", createdAt: 1 } as const;
  await commit(ctx.db, ctx.db.insert(templates).values(row));
  await store.confirm(root, id);
  return { id, root, chunks, sent, store, stored: finished.value };
}

const space = (teamId: string) => env.CHUNKS.getByName(teamId);
/** Lets everything that waits for a time happen now. */
async function collect(teamId: string): Promise<void> {
  await runInDurableObject(space(teamId), (_, { storage }) => {
    storage.sql.exec("UPDATE garbage SET due = 0").toArray();
  });
  await runDurableObjectAlarm(space(teamId));
}

test("an archive comes back chunk by chunk as it was sent, with its sizes", async () => {
  const team = newTeam();
  const big = "x".repeat(100_000);
  const { root, chunks, stored } = await template(team, [big, "small", big]);
  expect(stored).toMatchObject({ bytes: 200_005, entries: 3 });
  expect(stored.storedBytes).toBeLessThan(2_000);
  const token = await reader(team, root);
  for (const { hash, plain } of [...chunks, await manifestOf(chunks)]) {
    const { body } = await fetchChunk(token, hash);
    expect(await gunzip(body)).toEqual(plain);
  }
});

async function fetchChunk(token: string, hash: string) {
  const response = await exports.default.fetch(
    new Request(`http://longshore.test/internal/v1/chunks/${hash}`, { headers: { authorization: `Bearer ${token}` } }),
  );
  return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
}

test("a chunk that a team has is not sent again, and another team's is (T1)", async () => {
  const [mine, theirs] = [newTeam(), newTeam()];
  const first = await template(mine, ["a", "b"]);
  expect(first.sent).toHaveLength(3);
  const second = await template(mine, ["a", "c"]);
  expect(second.sent).toHaveLength(2);
  expect(await objectsOf(env.FILES, mine)).toHaveLength(5);
  expect((await template(theirs, ["a", "b"])).sent).toHaveLength(3);
  const foreign = await getChunk(await reader(theirs, first.root), first.root);
  expect(foreign.status).toBe(200); // the same archive, of that team's own objects
  expect((await getChunk(await reader(theirs, second.root), second.root)).status).toBe(404);
});

test("what a token is for is all that it opens (T4)", async () => {
  const team = newTeam();
  const [one, other] = [await template(team, ["one"]), await template(team, ["other"])];
  const [read, { token: write }] = [await reader(team, one.root), await upload(team)];
  const hash = one.chunks[0]!.hash;
  expect((await getChunk(read, hash)).status).toBe(200);
  expect((await getChunk(read, other.chunks[0]!.hash)).status).toBe(404);
  expect((await getChunk(read, "0".repeat(64))).status).toBe(404);
  expect((await getChunk(write, hash)).status).toBe(401);
  expect((await askMissing(read, [hash])).status).toBe(401);
  expect((await putChunk(read, hash, one.chunks[0]!.gzip)).status).toBe(401);
  const transfer: Transfer = { act: "get", teamId: team, hostId: "host_1", root: one.root };
  const late = await ctx.chunks.issueToken(transfer, -HOUR);
  const ofHost = await makeHostTokens(env).issue({ hostId: "host_1", teamId: null, family: 1 });
  for (const token of [late, ofHost, `${read.slice(0, -4)}AAAA`, "x", ""]) {
    expect((await getChunk(token, hash)).status).toBe(401);
  }
  expect((await call("GET", `/v1/hosts`, { headers: { "x-host-token": read } })).status).toBe(401);
});

test("a chunk that is not what its name says is refused, and nothing of it is kept", async () => {
  const team = newTeam();
  const { token } = await upload(team);
  const [good, other] = [await chunkOf("good"), await chunkOf("other")];
  const bomb = await chunkOf(new Uint8Array(5 * 1024 * 1024));
  const noise = crypto.getRandomValues(new Uint8Array(60_000));
  await askMissing(token, [good.hash, bomb.hash]);
  const wrong: [string, Uint8Array][] = [
    [good.hash, other.gzip],
    [good.hash, good.plain],
    [good.hash, good.gzip.slice(0, -6)],
    [good.hash, new Uint8Array()],
    [good.hash, noise],
    [bomb.hash, bomb.gzip],
  ];
  for (const [hash, bytes] of wrong) expect((await putChunk(token, hash, bytes)).status).toBe(400);
  const huge = new Uint8Array(4 * 1024 * 1024 + 100_000);
  expect((await putChunk(token, good.hash, huge)).status).toBe(413);
  expect(await objectsOf(env.FILES, team)).toEqual([]);
  expect((await putChunk(token, good.hash, good.gzip)).status).toBe(204);
  expect((await putChunk(token, good.hash, good.gzip)).status).toBe(204);
  expect(await objectsOf(env.FILES, team)).toHaveLength(1);
  // A chunk that nobody asked about is not taken either.
  expect((await putChunk(token, other.hash, other.gzip)).status).toBe(401);
  await collect(team);
  expect(await objectsOf(env.FILES, team)).toHaveLength(1);
});

test("an upload that is not whole makes nothing, and what it sent is collected (R290)", async () => {
  const team = newTeam();
  const store = ctx.chunks.store(team);
  const [a, b] = [await chunkOf("a"), await chunkOf("b")];
  const manifest = await manifestOf([a, b]);
  for (const sent of [[a], [a, b], [a, manifest], [manifest]]) {
    const { uploadId, token } = await upload(team);
    await askMissing(
      token,
      sent.map(({ hash }) => hash),
    );
    for (const { hash, gzip } of sent) await putChunk(token, hash, gzip);
    const finished = await store.finish(uploadId, manifest.hash, newTemplate(), Date.now() + HOUR);
    expect(finished).toMatchObject({ ok: false, code: "sandbox_failed" });
    expect((await putChunk(token, a.hash, a.gzip)).status).toBe(401);
    await collect(team);
    expect(await objectsOf(env.FILES, team)).toEqual([]);
  }
  const { uploadId, token } = await upload(team);
  const nonsense = await chunkOf('{"v":1}');
  await askMissing(token, [nonsense.hash]);
  await putChunk(token, nonsense.hash, nonsense.gzip);
  expect((await store.finish(uploadId, nonsense.hash, newTemplate(), 1)).ok).toBe(false);
});

test("an upload that nobody ends is collected when its time is over, also after eviction", async () => {
  const team = newTeam();
  const { token } = await upload(team);
  const { sent } = await sendArchive(token, ["left", "behind"]);
  expect(await objectsOf(env.FILES, team)).toHaveLength(sent.length);
  await runInDurableObject(space(team), (_, { storage }) => storage.sql.exec("UPDATE uploads SET until = 1").toArray());
  await evictDurableObject(space(team));
  await runDurableObjectAlarm(space(team));
  expect(await objectsOf(env.FILES, team)).toEqual([]);
});

test("a deleted template's files go, those that another one needs stay (R300)", async () => {
  const team = newTeam();
  const [one, two] = [await template(team, ["shared", "one"]), await template(team, ["shared", "two"])];
  await one.store.release(one.root, one.id);
  await collect(team);
  expect(await objectsOf(env.FILES, team)).toHaveLength(3);
  const token = await reader(team, two.root);
  for (const { hash } of two.chunks) expect((await getChunk(token, hash)).status).toBe(200);
  expect((await getChunk(await reader(team, one.root), one.root)).status).toBe(404);
  await two.store.release(two.root, two.id);
  await collect(team);
  expect(await objectsOf(env.FILES, team)).toEqual([]);
});

test("a sandbox that is being filled keeps its template's files for a while (R303)", async () => {
  const team = newTeam();
  const { id, root, store } = await template(team, ["files"]);
  expect(await store.hold(root, "sb_1", Date.now() + HOUR)).toMatchObject({ ok: true });
  await store.release(root, id);
  await collect(team);
  expect((await getChunk(await reader(team, root), root)).status).toBe(200);
  await store.release(root, "sb_1");
  await collect(team);
  expect(await store.hold(root, "sb_2", Date.now() + HOUR)).toMatchObject({ ok: false, code: "template_not_found" });
});

test("a hold whose commit or deletion was cut is settled by what the directory says", async () => {
  const team = newTeam();
  const [kept, gone] = [await template(team, ["kept"]), await template(team, ["gone"])];
  await commit(ctx.db, ctx.db.delete(templates).where(eq(templates.id, gone.id)));
  for (const { root, id, store } of [kept, gone]) await store.doubt(root, id, 1);
  const broken = vi.spyOn(env.FILES, "delete").mockRejectedValueOnce(new Error("R2 is away"));
  await runDurableObjectAlarm(space(team));
  broken.mockRestore();
  await collect(team);
  expect(await objectsOf(env.FILES, team)).toHaveLength(2);
  expect((await getChunk(await reader(team, kept.root), kept.root)).status).toBe(200);
});
