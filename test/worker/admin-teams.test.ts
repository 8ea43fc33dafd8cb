import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { newId } from "#kernel/id";
import { auditOf, eventually, newSandbox, onlineHost } from "#test/worker/control";
import { serveFakeAgents } from "#test/worker/fake-agent";
import { call, rowOf } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";

const TEAMS = "/v1/admin/teams";
const administrator = () => person({ platformAdmin: true });
const setByoc = (by: Person, id: string, body: unknown) => by.call("PUT", `${TEAMS}/${id}/byoc`, body);
const unknownIds = () => [newId("team", Date.now()), "nonsense"];

test("teams are listed with what is in them, deleted ones last, with how many there are (R399)", async () => {
  const admin = await administrator();
  const gone = await person();
  const owner = await person();
  await person({ teamId: owner.teamId, role: "member" });
  const sandbox = await newSandbox(owner.teamId);
  await newSandbox(owner.teamId);
  await env.DB.prepare("UPDATE sandboxes SET status = 'running' WHERE id = ?").bind(sandbox).run();
  const channel = "INSERT INTO channels VALUES ('ch_1', ?, 'n', 'webhook', 'sealed', '[]', 'u', 0, 0)";
  await env.DB.prepare(channel).bind(owner.teamId).run();
  await env.DB.prepare("UPDATE teams SET deleted_at = 1 WHERE id = ?").bind(gone.teamId).run();
  const { status, body, headers } = await admin.call("GET", TEAMS);
  expect([status, headers.get("x-total-count")]).toEqual([200, "3"]);
  expect(body.map(({ id }: { id: string }) => id)).toEqual([admin.teamId, owner.teamId, gone.teamId]);
  expect(body[1]).toEqual({
    id: owner.teamId,
    name: "Team",
    slug: expect.any(String),
    is_byoc: false,
    created_at: expect.any(String),
    deleted_at: null,
    member_count: 2,
    owner_name: "Person",
    owner_email: owner.email,
    active_sandbox_count: 1,
    channel_count: 1,
  });
  expect(body[2].deleted_at).toBe("1970-01-01T00:00:00.001Z");
  const page = await admin.call("GET", `${TEAMS}?per_page=1&page=2`);
  expect([page.body.length, page.body[0].id, page.headers.get("x-total-count")]).toEqual([1, owner.teamId, "3"]);
  await env.DB.prepare("UPDATE users SET status = 'deleted' WHERE id = ?").bind(gone.userId).run();
  expect((await admin.call("GET", TEAMS)).body[2]).toMatchObject({ owner_name: null, owner_email: null });
});

test("a team is let bring its own hosts and stopped again, by either name of the field (R400)", async () => {
  const [admin, owner] = [await administrator(), await person()];
  const isByoc = async () => (await rowOf("teams", owner.teamId))?.is_byoc;
  for (const [body, after] of [
    [{ byoc: true }, 1],
    [{ byoc: true }, 1],
    [{ byoc: false }, 0],
    [{ enabled: true }, 1],
    [{ enabled: true, byoc: false }, 0],
  ] as const) {
    expect((await setByoc(admin, owner.teamId, body)).status).toBe(204);
    expect(await isByoc()).toBe(after);
  }
  expect(await auditOf(owner.teamId)).toEqual(Array.from({ length: 4 }, () => "team.byoc_set"));
  // The team reads of it in its own log.
  const entry = await rowOf("audit_entries", owner.teamId, "subject_id");
  expect(entry).toMatchObject({ team_id: owner.teamId, actor_id: admin.userId, scope: "admin" });
  for (const body of [{}, { byoc: "true" }, { byoc: null }, { enabled: 1 }, []]) {
    expect((await setByoc(admin, owner.teamId, body)).status, JSON.stringify(body)).toBe(400);
  }
  for (const id of unknownIds()) expect((await setByoc(admin, id, { byoc: true })).status).toBe(404);
});

test("a team that has hosts of its own goes on bringing them (R400)", async () => {
  const [admin, owner] = [await administrator(), await person()];
  await setByoc(admin, owner.teamId, { byoc: true });
  const host = await owner.call("POST", "/v1/hosts", { type: "byoc", team_id: owner.teamId });
  expect(host.status).toBe(201);
  const refused = { status: 409, body: { error: { code: "conflict" } } };
  expect(await setByoc(admin, owner.teamId, { byoc: false })).toMatchObject(refused);
  expect(await rowOf("teams", owner.teamId)).toMatchObject({ is_byoc: 1 });
  await env.DB.prepare("DELETE FROM hosts WHERE team_id = ?").bind(owner.teamId).run();
  expect((await setByoc(admin, owner.teamId, { byoc: false })).status).toBe(204);
});

test("an administrator deletes any team, with all that follows (R401, R402, T7)", async () => {
  serveFakeAgents();
  const agent = await onlineHost();
  const [admin, owner] = [await administrator(), await person()];
  const { key } = (await owner.call("POST", "/v1/api-keys", {})).body;
  const use = async () => (await call("GET", "/api/v1/workspaces", { headers: { "x-api-key": key } })).status;
  const sandbox = await newSandbox(owner.teamId);
  await env.SANDBOX.getByName(sandbox).start(owner.teamId);
  await eventually(async () => expect(await rowOf("sandboxes", sandbox)).toMatchObject({ status: "running" }));
  expect(await use()).toBe(200);
  expect((await admin.call("DELETE", `${TEAMS}/${owner.teamId}`)).status).toBe(204);
  expect(await use()).toBe(401);
  expect((await owner.call("GET", "/v1/teams")).body).toEqual([]);
  expect(await owner.call("GET", "/v1/api-keys")).toMatchObject({ status: 403, body: { error: { code: "no_team" } } });
  await eventually(() => expect(agent.wiped.has(sandbox)).toBe(true));
  expect(await auditOf(owner.teamId)).toEqual(["team.deleted"]);
  expect(await rowOf("audit_entries", owner.teamId, "subject_id")).toMatchObject({
    team_id: owner.teamId,
    actor_id: admin.userId,
  });
  for (const id of [owner.teamId, ...unknownIds()]) {
    expect((await admin.call("DELETE", `${TEAMS}/${id}`)).status).toBe(404);
    expect((await setByoc(admin, id, { byoc: true })).status).toBe(404);
  }
});
