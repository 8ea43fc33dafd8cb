import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import { systemActor } from "#domain/actor";
import { sweepTeams } from "#domain/team/sweep-teams";
import { setUserActive } from "#domain/user/set-user-active";
import { newId } from "#kernel/id";
import { auditOf, eventually, newSandbox, onlineHost } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents } from "#test/worker/fake-agent";
import { call, contextFor, countOf, rowOf } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";
import { follow } from "#test/worker/streams";

const USERS = "/v1/admin/users";
const unknown = () => newId("user", Date.now());
const setAdmin = (by: Person, id: string, admin: unknown) => by.call("PUT", `${USERS}/${id}/admin`, { admin });
const setActive = (by: Person, id: string, active: unknown) => by.call("PUT", `${USERS}/${id}/active`, { active });
const list = (by: Person, query = "") => by.call("GET", `${USERS}${query}`);
const isAdmin = async (p: Person) => (await rowOf("users", p.userId))?.is_platform_admin === 1;

/** Each test has the platform to itself: who administers it matters for the last one. */
beforeEach(async () => {
  await env.DB.prepare("UPDATE users SET is_platform_admin = 0").run();
});
const administrator = () => person({ platformAdmin: true });

test("the administration is closed to others, whatever their role, and to keys (R390, R391)", async () => {
  const [admin, other] = [await administrator(), await person()];
  const { key } = (await admin.call("POST", "/v1/api-keys", {})).body;
  for (const [method, path, body] of [
    ["GET", USERS, undefined],
    ["PUT", `${USERS}/${other.userId}/admin`, { admin: true }],
    ["PUT", `${USERS}/${other.userId}/active`, { active: false }],
    ["GET", "/v1/admin/teams", undefined],
    ["PUT", `/v1/admin/teams/${other.teamId}/byoc`, { byoc: true }],
    ["DELETE", `/v1/admin/teams/${other.teamId}`, undefined],
  ] as const) {
    expect(await other.call(method, path, body), path).toMatchObject({
      status: 403,
      body: { error: { code: "forbidden" } },
    });
    expect((await call(method, path, { body })).status, path).toBe(401);
    expect((await call(method, path, { body, headers: { "x-api-key": key } })).status, path).toBe(401);
  }
  expect(await rowOf("users", other.userId)).toMatchObject({ is_platform_admin: 0, status: "active" });
  expect(await rowOf("teams", other.teamId)).toMatchObject({ is_byoc: 0, deleted_at: null });
});

test("the flag is granted and revoked, from the next request on, and repeating it changes nothing (R392 to R396)", async () => {
  const [admin, other] = [await administrator(), await person()];
  expect((await list(other)).status).toBe(403);
  expect((await setAdmin(admin, other.userId, true)).status).toBe(204);
  expect((await list(other)).status).toBe(200);
  expect((await setAdmin(admin, other.userId, true)).status).toBe(204);
  expect((await setAdmin(other, admin.userId, false)).status).toBe(204);
  expect((await list(admin)).status).toBe(403);
  expect((await setAdmin(other, admin.userId, false)).status).toBe(204);
  expect(await auditOf(other.userId)).toEqual(["user.admin_granted"]);
  expect(await auditOf(admin.userId)).toEqual(["user.admin_revoked"]);
  // What concerns the platform stands in no team's log.
  expect(await rowOf("audit_entries", other.userId, "subject_id")).toMatchObject({
    team_id: "",
    actor_id: admin.userId,
  });
});

test("unknown users are 404, and a missing or wrong field is 400 (R393, R402)", async () => {
  const [admin, gone] = [await administrator(), await person()];
  await env.DB.prepare("UPDATE users SET status = 'deleted' WHERE id = ?").bind(gone.userId).run();
  for (const id of [unknown(), gone.userId, "nonsense"]) {
    expect((await setAdmin(admin, id, true)).status).toBe(404);
    expect((await setActive(admin, id, false)).status).toBe(404);
  }
  for (const value of [undefined, null, "true", 1, {}]) {
    expect((await setAdmin(admin, admin.userId, value)).status).toBe(400);
    expect((await setActive(admin, admin.userId, value)).status).toBe(400);
  }
});

test("the last administrator who can log in is not demoted (R394)", async () => {
  const [admin, disabled] = [await administrator(), await administrator()];
  await env.DB.prepare("UPDATE users SET status = 'disabled' WHERE id = ?").bind(disabled.userId).run();
  const refused = { status: 400, body: { error: { code: "invalid_request" } } };
  expect(await setAdmin(admin, admin.userId, false)).toMatchObject(refused);
  expect((await setAdmin(admin, disabled.userId, false)).status).toBe(204);
  expect(await setAdmin(admin, admin.userId, false)).toMatchObject(refused);
  expect(await isAdmin(admin)).toBe(true);
  expect(await auditOf(admin.userId)).toEqual([]);
});

test("of administrators who demote or deactivate each other or themselves at once one stays (R394)", async () => {
  for (let round = 0; round < 6; round++) {
    await env.DB.prepare("UPDATE users SET is_platform_admin = 0").run();
    const [a, b] = [await administrator(), await administrator()];
    const attempts = [
      () => [setAdmin(a, b.userId, false), setAdmin(b, a.userId, false)],
      () => [setAdmin(a, a.userId, false), setAdmin(b, b.userId, false)],
      () => [setActive(a, b.userId, false), setActive(b, a.userId, false)],
      () => [setActive(a, b.userId, false), setAdmin(b, a.userId, false)],
    ][round % 4]!();
    const statuses = (await Promise.all(attempts)).map(({ status }) => status);
    expect(
      statuses.filter((status) => status === 204),
      `round ${round}`,
    ).toHaveLength(1);
    expect(await countOf("users", "is_platform_admin = 1 AND status = 'active'")).toBe(1);
  }
});

test("a deactivated user is out, with sessions and keys for good, and back after activation (R112, R397, T7)", async () => {
  const [admin, user] = [await administrator(), await person()];
  const mate = await person({ teamId: user.teamId, role: "member" });
  const keyOf = async (p: Person) => (await p.call("POST", "/v1/api-keys", {})).body.key;
  const [key, other] = [await keyOf(user), await keyOf(mate)];
  const use = async (k: string) => (await call("GET", "/api/v1/workspaces", { headers: { "x-api-key": k } })).status;
  const streams = [
    await follow("/v1/events/stream", { cookie: user.cookie }),
    await follow("/v1/events/stream", { "x-api-key": key }),
  ];
  expect([await use(key), await use(other), (await user.call("GET", "/v1/teams")).status]).toEqual([200, 200, 200]);

  expect((await setActive(admin, user.userId, false)).status).toBe(204);
  expect([await use(key), await use(other), (await user.call("GET", "/v1/teams")).status]).toEqual([401, 200, 401]);
  for (const stream of streams) expect(await stream.ended(5_000)).toContain("the credential ended");
  expect((await mate.call("GET", "/v1/api-keys")).body).toHaveLength(1);
  expect((await setActive(admin, user.userId, false)).status).toBe(204);

  expect((await setActive(admin, user.userId, true)).status).toBe(204);
  expect([await use(key), (await user.call("GET", "/v1/teams")).status]).toEqual([401, 401]);
  const again = await user.login();
  expect((await again.call("GET", "/v1/teams")).body).toHaveLength(1);
  expect(await auditOf(user.userId)).toEqual(["user.deactivated", "user.activated"]);
});

test("a deactivated user cannot log in, and can once activated (R397)", async () => {
  const admin = await administrator();
  const passwordHash = await contextFor(systemActor()).passwords.hash("correct horse");
  const user = await person({ passwordHash });
  const logIn = () => call("POST", "/v1/auth/login", { body: { email: user.email, password: "correct horse" } });
  expect((await logIn()).status).toBe(200);
  await setActive(admin, user.userId, false);
  expect(await logIn()).toMatchObject({ status: 403, body: { error: { code: "account_disabled" } } });
  await setActive(admin, user.userId, true);
  expect((await logIn()).status).toBe(200);
});

test("an account that waits for its activation is stopped, and let in, as any other (R397)", async () => {
  const [admin, user] = [await administrator(), await person()];
  const statusOf = async () => (await rowOf("users", user.userId))?.status;
  const wait = () => env.DB.prepare("UPDATE users SET status = 'inactive' WHERE id = ?").bind(user.userId).run();
  await wait();
  expect([(await setActive(admin, user.userId, false)).status, await statusOf()]).toEqual([204, "disabled"]);
  await wait();
  expect([(await setActive(admin, user.userId, true)).status, await statusOf()]).toEqual([204, "active"]);
});

test("sessions of before a deactivation that was cut short do not come back with the activation (R397)", async () => {
  const [admin, user] = [await administrator(), await person()];
  await env.DB.prepare("UPDATE users SET status = 'disabled' WHERE id = ?").bind(user.userId).run();
  await setActive(admin, user.userId, true);
  expect((await user.call("GET", "/v1/teams")).status).toBe(401);
});

test("an administrator does not deactivate themself (R398)", async () => {
  const admin = await administrator();
  expect(await setActive(admin, admin.userId, false)).toMatchObject({ status: 400 });
  expect((await setActive(admin, admin.userId, true)).status).toBe(204);
  expect((await list(admin)).status).toBe(200);
});

test("one who was demoted a moment ago changes nobody any more", async () => {
  const [admin, user] = [await administrator(), await person()];
  const actor = { ...systemActor(), kind: "user" as const, id: admin.userId, platformAdmin: true };
  await env.DB.prepare("UPDATE users SET is_platform_admin = 0 WHERE id = ?").bind(admin.userId).run();
  const late = setUserActive(contextFor(actor), { id: user.userId, active: false });
  await expect(late).rejects.toMatchObject({ code: "forbidden" });
  expect(await rowOf("users", user.userId)).toMatchObject({ status: "active" });
  expect(await auditOf(user.userId)).toEqual([]);
});

async function running(agent: FakeAgent, teamId: string): Promise<string> {
  const id = await newSandbox(teamId);
  expect(await env.SANDBOX.getByName(id).start(teamId)).toMatchObject({ ok: true });
  await eventually(async () =>
    expect(await rowOf("sandboxes", id)).toMatchObject({ status: "running", host_id: agent.hostId }),
  );
  return id;
}

test("deactivating destroys the sandboxes of the teams the user owns, and of no other (R398)", async () => {
  serveFakeAgents();
  const agent = await onlineHost();
  const [admin, user] = [await administrator(), await person()];
  const boss = await person();
  const insert = "INSERT INTO memberships (team_id, user_id, role, created_at) VALUES (?, ?, 'admin', 0)";
  await env.DB.prepare(insert).bind(boss.teamId, user.userId).run();
  const [own, foreign] = [await running(agent, user.teamId), await running(agent, boss.teamId)];
  await setActive(admin, user.userId, false);
  await eventually(() => expect(agent.wiped.has(own)).toBe(true));
  await eventually(async () => expect(await rowOf("sandboxes", own)).toMatchObject({ status: "stopped" }));
  expect([agent.wiped.has(foreign), (await rowOf("sandboxes", foreign))?.status]).toEqual([false, "running"]);
});

test("what a deactivation left running is destroyed by the sweep, what was made since is left (R398)", async () => {
  serveFakeAgents();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  const agent = await onlineHost();
  const user = await person();
  const before = await running(agent, user.teamId);
  const at = Date.now();
  await env.DB.prepare("UPDATE users SET status = 'disabled', updated_at = ? WHERE id = ?").bind(at, user.userId).run();
  const since = await running(agent, user.teamId);
  await env.DB.prepare("UPDATE sandboxes SET created_at = ? WHERE id = ?")
    .bind(at + 1, since)
    .run();
  await sweepTeams(contextFor(systemActor("scheduler")));
  await eventually(() => expect(agent.wiped.has(before)).toBe(true));
  expect(agent.wiped.has(since)).toBe(false);
});

test("users are listed in pages that stay when others join, with how many there are (R399, I5, T10)", async () => {
  await env.DB.prepare("DELETE FROM users").run();
  const admin = await administrator();
  const owner = await person();
  await person({ teamId: admin.teamId, role: "member" });
  await env.DB.prepare("UPDATE users SET status = 'deleted' WHERE id = ?")
    .bind((await person()).userId)
    .run();
  const { status, body, headers } = await list(admin);
  expect([status, body.length, headers.get("x-total-count")]).toEqual([200, 3, "3"]);
  expect(body[0]).toEqual({
    id: admin.userId,
    email: admin.email,
    name: "Person",
    is_admin: true,
    status: "active",
    created_at: expect.any(String),
    teams_joined: 1,
    teams_owned: 1,
  });
  expect(body[2]).toMatchObject({ is_admin: false, teams_joined: 1, teams_owned: 0 });
  await env.DB.prepare("UPDATE teams SET deleted_at = 1 WHERE id = ?").bind(owner.teamId).run();
  expect((await list(admin)).body[1]).toMatchObject({ id: owner.userId, teams_joined: 0, teams_owned: 0 });

  const ids = (answer: { body: { id: string }[] }) => answer.body.map(({ id }) => id);
  const all = ids(await list(admin));
  const seen = ids(await list(admin, "?per_page=2"));
  await person();
  seen.push(...ids(await list(admin, "?per_page=2&page=2")));
  expect(seen.slice(0, 3)).toEqual(all);
  expect(ids(await list(admin, "?page=5"))).toEqual([]);
});

test.for(["?page=0", "?page=-1", "?page=x", "?page=1.5", "?per_page=0", "?per_page=101", "?page=99999999999"])(
  "the page %s is refused",
  async (query) => {
    const admin = await administrator();
    expect((await list(admin, query)).status).toBe(400);
    expect((await admin.call("GET", `/v1/admin/teams${query}`)).status).toBe(400);
  },
);
