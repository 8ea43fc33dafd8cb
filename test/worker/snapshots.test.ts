import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { systemActor } from "#domain/actor";
import { sweepTeams } from "#domain/team/sweep-teams";
import { objectsOf, sendArchive } from "#test/worker/archive-sender";
import { eventually, onlineHost, rowOf } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents } from "#test/worker/fake-agent";
import { contextFor, countOf, type Tenant, tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";

let agent: FakeAgent;
let content = ["one", "two"];
let sentFrom: (() => Promise<void>) | undefined;

beforeAll(async () => {
  agent = await onlineHost();
});
beforeEach(() => {
  serveFakeAgents();
  content = ["one", "two"];
  sentFrom = undefined;
  agent.snapshot = async (token) => {
    await sentFrom?.();
    const { root } = await sendArchive(token, content);
    return Response.json({ root, bytes: 6, sentBytes: 6, frozenMs: 1 });
  };
});

/** A running capsule. */
async function capsule(t: Pick<Tenant, "call">, more: object = {}): Promise<string> {
  const { status, body, text } = await t.call("POST", "/v1/capsules", more);
  expect(status, text).toBe(202);
  await running(t, body.id);
  return body.id;
}
const running = (t: Pick<Tenant, "call">, id: string) =>
  eventually(async () => {
    const { body } = await t.call("GET", `/v1/capsules/${id}`);
    expect(body.status).toBe("running");
    return body;
  });

const take = (t: Pick<Tenant, "call">, sandbox_id: string, name?: string, query = "") =>
  t.call("POST", `/v1/snapshots${query}`, { sandbox_id, ...(name !== undefined && { name }) });

const eventsOf = async (teamId: string) =>
  (
    await env.DB.prepare("SELECT payload FROM team_events WHERE team_id = ? AND type LIKE 'template%'")
      .bind(teamId)
      .all()
  ).results.map(({ payload }) => JSON.parse(payload as string));

test("a snapshot becomes a template with the source's sizes, and the source goes on (R286, R287, R289, R294, R374, R386)", async () => {
  const t = await tenant();
  const id = await capsule(t, { vcpus: 2, memory_mb: 1024 });
  const { status, body, text } = await take(t, id);
  expect(status, text).toBe(201);
  expect(body).toMatchObject({ type: "snapshot", vcpus: 2, memory_mb: 1024, platform: false, metadata: null });
  expect(body.name).toMatch(/^template-[0-9a-f]{8}$/);
  const stored = await Promise.all(
    (await objectsOf(env.FILES, t.teamId)).map(async (key) => (await env.FILES.head(key))!.size),
  );
  expect(body.size_bytes).toBe(stored.reduce((a, b) => a + b, 0));
  expect((await t.call("GET", `/v1/capsules/${id}`)).body.status).toBe("running");
  const row = (await rowOfTemplate(t.teamId, body.name))!;
  expect(row).toMatchObject({ created_by: t.keyId, type: "snapshot" });
  expect(await countOf("audit_entries", "subject_id = ? AND action = 'snapshot.created'", row.id)).toBe(1);
  expect(await eventsOf(t.teamId)).toMatchObject([
    { type: "template.snapshot.create", outcome: "success", resource: { id: body.name, type: "snapshot" } },
  ]);
  expect(agent.seen.find(({ path }) => path === "/snapshot")).toMatchObject({ method: "POST", act: "lifecycle" });
});

const rowOfTemplate = (teamId: string, name: string) =>
  env.DB.prepare("SELECT * FROM templates WHERE team_id = ? AND name = ?").bind(teamId, name).first();

test("a capsule made from it gets its files and sizes, and keeps them when it is deleted (R152, R288, R303)", async () => {
  const t = await tenant();
  const id = await capsule(t, { vcpus: 2, memory_mb: 1024 });
  await take(t, id, "mine");
  const copy = await capsule(t, { template: "mine", vcpus: 1, memory_mb: 512 });
  const { body } = await t.call("GET", `/v1/capsules/${copy}`);
  expect(body).toMatchObject({ template: "mine", vcpus: 2, memory_mb: 1024 });
  const start = agent.seen.findLast(({ method, path }) => method === "PUT" && path === "")!;
  const { source } = JSON.parse(start.body);
  expect(source).toMatchObject({ owner: t.teamId, root: (await rowOfTemplate(t.teamId, "mine"))!.manifest });
  expect((await t.call("DELETE", "/v1/snapshots/mine")).status).toBe(204);
  expect((await t.call("GET", `/v1/capsules/${copy}`)).body.status).toBe("running");
  // The next start of it needs no template any more.
  await t.call("POST", `/v1/capsules/${copy}/pause`);
  await eventually(async () => expect((await t.call("GET", `/v1/capsules/${copy}`)).body.status).toBe("paused"));
  await t.call("POST", `/v1/capsules/${copy}/resume`);
  await running(t, copy);
});

test("what a template leaves to run is in each start, also once it is deleted, and in what is made of it (R196, R303, R419)", async () => {
  const t = await tenant();
  await take(t, await capsule(t), "service");
  const start = [{ command: "serve", cwd: "app" }, { command: "watch" }];
  await env.DB.prepare("UPDATE templates SET default_env = ?, metadata = ? WHERE team_id = ?")
    .bind(JSON.stringify({ A: "1" }), JSON.stringify({ start: JSON.stringify(start) }), t.teamId)
    .run();
  const id = await capsule(t, { template: "service" });
  const starts = () => agent.seen.filter(({ method, path }) => method === "PUT" && path === "").map(({ body }) => body);
  expect(JSON.parse(starts().at(-1)!).setup).toEqual({ env: { A: "1" }, start });
  await take(t, id, "again");
  expect(await rowOfTemplate(t.teamId, "again")).toMatchObject({ default_env: '{"A":"1"}' });
  await t.call("DELETE", "/v1/snapshots/service");
  const before = starts().length;
  agent.running.delete(id);
  await env.SANDBOX.getByName(id).nudge();
  await eventually(() => expect(starts().length).toBe(before + 1));
  expect(JSON.parse(starts().at(-1)!)).toMatchObject({ setup: { env: { A: "1" }, start } });
  await capsule(t, { template: "again" });
  expect(JSON.parse(starts().at(-1)!).setup).toEqual({ env: { A: "1" }, start });
  await capsule(t);
  expect(JSON.parse(starts().at(-1)!)).not.toHaveProperty("setup");
});

test("a deleted team's templates go, and the files of those (R126, R127)", async () => {
  const [owner, other] = [await person(), await person()];
  for (const one of [owner, other]) await take(one, await capsule(one), "kept");
  expect((await objectsOf(env.FILES, owner.teamId)).length).toBeGreaterThan(0);
  expect((await owner.call("DELETE", `/v1/teams/${owner.teamId}`)).status).toBe(204);
  await eventually(async () => {
    expect(await countOf("templates", "team_id = ?", owner.teamId)).toBe(0);
    expect(await objectsOf(env.FILES, owner.teamId)).toEqual([]);
  });
  expect(await countOf("templates", "team_id IN (?, '')", other.teamId)).toBeGreaterThan(1);
  expect((await objectsOf(env.FILES, other.teamId)).length).toBeGreaterThan(0);
  const deleted = "team_id = ? AND action = 'snapshot.deleted'";
  expect(await countOf("audit_entries", deleted, owner.teamId)).toBe(1);
});

test("a template that came while its team was deleted is swept (R126)", async () => {
  const owner = await person();
  await take(owner, await capsule(owner), "late");
  await env.DB.prepare("UPDATE teams SET deleted_at = ? WHERE id = ?").bind(Date.now(), owner.teamId).run();
  await env.DB.prepare("UPDATE sandboxes SET status = 'stopped' WHERE team_id = ?").bind(owner.teamId).run();
  const scheduler = contextFor(systemActor("scheduler"));
  expect(await sweepTeams(scheduler)).toBe(1);
  await eventually(async () => expect(await objectsOf(env.FILES, owner.teamId)).toEqual([]));
  expect(await sweepTeams(scheduler)).toBe(0);
});

test("a template that is gone before the first start fails it in words (R303)", async () => {
  const t = await tenant();
  await take(t, await capsule(t), "short");
  await env.DB.prepare("UPDATE templates SET manifest = ? WHERE team_id = ?").bind("0".repeat(64), t.teamId).run();
  const { body } = await t.call("POST", "/v1/capsules", { template: "short" });
  const row = await eventually(async () => {
    const found = (await rowOf("sandboxes", body.id))!;
    expect(found.status).toBe("error");
    return found;
  });
  expect(row.status_reason).toContain("template was deleted");
});

test("a name exists once, for the team and the platform, and what exists is untouched (R290, R291, R425, A63)", async () => {
  const t = await tenant();
  const id = await capsule(t);
  await take(t, id, "once");
  const before = await rowOfTemplate(t.teamId, "once");
  content = ["other"];
  for (const [name, query] of [
    ["once", ""],
    ["once", "?overwrite=true"],
    ["minimal", ""],
  ] as const) {
    expect(await take(t, id, name, query)).toMatchObject({
      status: 409,
      body: { error: { code: "template_name_taken" } },
    });
  }
  expect(await rowOfTemplate(t.teamId, "once")).toEqual(before);
  const other = await tenant();
  expect((await take(other, await capsule(other), "once")).status).toBe(201);
});

test("of two that take a name at once one gets it, and the other leaves no files (R290)", async () => {
  const t = await tenant();
  const ids = [await capsule(t), await capsule(t)];
  let waiting = 0;
  sentFrom = async () => {
    content = [`content ${waiting++}`];
    await eventually(async () => expect(waiting).toBe(2));
  };
  const answers = await Promise.all(ids.map((id) => take(t, id, "race")));
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
  await runInDurableObject(env.CHUNKS.getByName(t.teamId), (_, { storage }) => {
    storage.sql.exec("UPDATE garbage SET due = 0").toArray();
  });
  await runDurableObjectAlarm(env.CHUNKS.getByName(t.teamId));
  expect(await objectsOf(env.FILES, t.teamId)).toHaveLength(2);
  expect(
    await countOf("audit_entries", "team_id = ? AND action = 'snapshot.created' AND result = 'ok'", t.teamId),
  ).toBe(1);
});

test.each(["", " ", "-x", ".x", "a/b", "a b", "ä", "x".repeat(65)])("the name %j is refused (R292)", async (name) => {
  const t = await tenant();
  expect(await take(t, `sb_${"0".repeat(20)}`, name)).toMatchObject({
    status: 400,
    body: { error: { code: "invalid_request" } },
  });
});

test("what cannot be snapshotted is refused (R286, R293, A51)", async () => {
  const [t, other] = [await tenant(), await tenant()];
  const id = await capsule(t);
  expect((await t.call("POST", "/v1/snapshots", { name: "x" })).status).toBe(400);
  expect((await take(t, `sb_${"0".repeat(20)}`)).status).toBe(404);
  expect((await take(t, "nonsense")).status).toBe(404);
  expect((await take(other, id)).status).toBe(404);
  await t.call("POST", `/v1/capsules/${id}/pause`);
  await eventually(async () => expect((await t.call("GET", `/v1/capsules/${id}`)).body.status).toBe("paused"));
  expect(await take(t, id)).toMatchObject({ status: 409, body: { error: { code: "invalid_state" } } });
  await t.call("DELETE", `/v1/capsules/${id}`);
  expect((await take(t, id)).status).toBe(409);
  expect(await eventsOf(t.teamId)).toEqual([]);
});

test("while one is taken there is no other and no pause; destroying wins (A6, R180)", async () => {
  const t = await tenant();
  const id = await capsule(t);
  let released = false;
  sentFrom = () => eventually(async () => expect(released).toBe(true));
  const first = take(t, id, "slow");
  await eventually(async () => expect(agent.count("POST", "/snapshot")).toBeGreaterThan(0));
  await eventually(async () => expect((await take(t, id, "second")).body.error.code).toBe("invalid_state"));
  expect(await t.call("POST", `/v1/capsules/${id}/pause`)).toMatchObject({
    status: 409,
    body: { error: { code: "invalid_state" } },
  });
  expect((await t.call("GET", `/v1/capsules/${id}`)).body.status).toBe("running");
  await t.call("DELETE", `/v1/capsules/${id}`);
  released = true;
  expect((await first).status).toBe(409);
  expect(await rowOfTemplate(t.teamId, "slow")).toBeNull();
});

test("a snapshot that fails on the host says so, is told as an event, and leaves nothing (R367, R368)", async () => {
  const t = await tenant();
  const id = await capsule(t);
  agent.snapshot = async (token) => {
    await sendArchive(token, ["half"]);
    return Response.json({ root: "0".repeat(64), bytes: 1, sentBytes: 1, frozenMs: 1 });
  };
  expect(await take(t, id, "half")).toMatchObject({ status: 502, body: { error: { code: "agent_error" } } });
  agent.snapshot = () =>
    Response.json({ error: { code: "snapshot_failed", message: "too many files" } }, { status: 503 });
  const failed = await take(t, id, "none");
  expect(failed).toMatchObject({ status: 502, body: { error: { message: "too many files" } } });
  expect(await eventsOf(t.teamId)).toMatchObject([{ outcome: "error" }, { outcome: "error", error: "too many files" }]);
  expect(await countOf("templates", "team_id = ?", t.teamId)).toBe(0);
  await runInDurableObject(env.CHUNKS.getByName(t.teamId), (_, { storage }) => {
    storage.sql.exec("UPDATE garbage SET due = 0").toArray();
  });
  await runDurableObjectAlarm(env.CHUNKS.getByName(t.teamId));
  expect(await objectsOf(env.FILES, t.teamId)).toEqual([]);
  expect((await t.call("GET", `/v1/capsules/${id}`)).body.status).toBe("running");
});

test("deleting a template frees its files, the name, and its use (R300)", async () => {
  const t = await tenant();
  await take(t, await capsule(t), "gone");
  expect((await t.call("DELETE", "/v1/snapshots/gone")).status).toBe(204);
  await eventually(async () => expect(await objectsOf(env.FILES, t.teamId)).toEqual([]));
  expect((await t.call("POST", "/v1/capsules", { template: "gone" })).status).toBe(404);
  expect((await take(t, await capsule(t), "gone")).status).toBe(201);
});

test("an administrator makes a template of the platform from any capsule, which every team may use (R402, R408, R410, A52)", async () => {
  const [t, other, admin] = [await tenant(), await tenant(), await person({ platformAdmin: true })];
  const id = await capsule(t);
  const path = `/v1/admin/capsules/${id}/snapshot`;
  expect((await admin.call("POST", path, {})).status).toBe(400);
  const { status, body, text } = await admin.call("POST", path, { name: "for-all" });
  expect(status, text).toBe(201);
  expect(body).toMatchObject({ name: "for-all", platform: true, type: "snapshot" });
  expect((await admin.call("POST", path, { name: "for-all" })).status).toBe(409);
  expect((await admin.call("POST", `/v1/admin/capsules/sb_${"0".repeat(20)}/snapshot`, { name: "x" })).status).toBe(
    404,
  );
  expect((await t.call("GET", `/v1/capsules/${id}`)).body.status).toBe("running");
  await capsule(other, { template: "for-all" });
  const entry = await env.DB.prepare("SELECT team_id FROM audit_entries WHERE action = 'template.created'").first();
  expect(entry).toEqual({ team_id: "" });
  expect(
    await countOf(
      "audit_entries",
      "team_id = ? AND action = 'sandbox.snapshot_taken' AND subject_id = ?",
      t.teamId,
      id,
    ),
  ).toBe(2);
  expect(await objectsOf(env.FILES, t.teamId)).toEqual([]);
});
