import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { newId } from "#kernel/id";
import { auditOf } from "#test/worker/control";
import { call, countOf } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";

const ROLES = ["owner", "admin", "member", "viewer"] as const;
const stranger = () => newId("user", Date.now());
const membersOf = (team: Person) => `/v1/teams/${team.teamId}/members`;

async function roleOf(team: Person, userId: string): Promise<string | undefined> {
  const query = "SELECT role FROM memberships WHERE team_id = ? AND user_id = ?";
  const row = await env.DB.prepare(query).bind(team.teamId, userId).first<{ role: string }>();
  return row?.role;
}

/** An owner with a colleague in every other role. */
async function team() {
  const owner = await person();
  const join = (role: "admin" | "member" | "viewer") => person({ teamId: owner.teamId, role });
  return { owner, admin: await join("admin"), member: await join("member"), viewer: await join("viewer") };
}

const add = (by: Person, to: Person, email: string) => by.call("POST", membersOf(to), { email });
const setRole = (by: Person, of: Person, userId: string, role: unknown) =>
  by.call("PATCH", `${membersOf(of)}/${userId}`, { role });
const remove = (by: Person, from: Person, userId: string) => by.call("DELETE", `${membersOf(from)}/${userId}`);

test("somebody is added at once, as a member, whatever else is asked for (R130, R132, T11)", async () => {
  const [owner, added] = [await person(), await person()];
  const email = `  ${added.email.toUpperCase()} `;
  const body = { email, role: "owner", team_id: "team_x", user_id: owner.userId, joined_at: "1970-01-01T00:00:00Z" };
  const answer = await owner.call("POST", membersOf(owner), body);
  expect(answer).toMatchObject({ status: 201 });
  expect(answer.body).toEqual({
    user_id: added.userId,
    email: added.email,
    role: "member",
    joined_at: expect.any(String),
  });
  expect(Date.parse(answer.body.joined_at)).toBeGreaterThan(Date.now() - 60_000);
  expect(await roleOf(owner, added.userId)).toBe("member");
  expect(await auditOf(added.userId)).toEqual(["member.added"]);
  expect((await added.call("GET", "/v1/teams")).body).toHaveLength(2);
});

test("who is added is told by one letter, and by none where nobody is added (R132, T10)", async () => {
  const [owner, added] = [await person(), await person()];
  await add(owner, owner, added.email);
  await add(owner, owner, added.email);
  await add(owner, owner, "nobody@example.test");
  const { results } = await env.DB.prepare("SELECT * FROM mails WHERE kind = 'team_added'").all<{
    id: string;
    sealed: string;
  }>();
  const letters = await Promise.all(results.map(({ id, sealed }) => owner.ctx.secrets.open(sealed, id)));
  const [letter, ...others] = letters.filter((text) => text.includes(added.email)).map((text) => JSON.parse(text));
  expect([letter?.to, others]).toEqual([added.email, []]);
  expect(letter.text).toContain(`${owner.email} added you to the team “Team”`);
});

test("adding is refused for unknown and inactive accounts, members, and people without the role (R131, T3)", async () => {
  const { owner, admin, member, viewer } = await team();
  const other = await person();
  for (const status of ["inactive", "disabled", "deleted"]) {
    const gone = await person();
    await env.DB.prepare("UPDATE users SET status = ? WHERE id = ?").bind(status, gone.userId).run();
    expect(await add(owner, owner, gone.email), status).toMatchObject({
      status: 404,
      body: { error: { code: "not_found" } },
    });
  }
  expect((await add(owner, owner, "nobody@example.test")).status).toBe(404);
  for (const email of [member.email, owner.email, viewer.email]) {
    expect(await add(admin, owner, email)).toMatchObject({ status: 400, body: { error: { code: "invalid_request" } } });
  }
  expect((await add(member, owner, other.email)).status).toBe(403);
  expect((await add(viewer, owner, other.email)).status).toBe(403);
  expect((await add(other, owner, other.email)).status).toBe(403);
  for (const email of ["", "x", null, 1, undefined, `${"a".repeat(600)}@example.test`]) {
    expect((await owner.call("POST", membersOf(owner), { email })).status, String(email)).toBe(400);
  }
  expect(await countOf("memberships", "team_id = ?", owner.teamId)).toBe(4);
  expect((await add(admin, owner, other.email)).status).toBe(201);
});

test("of two who add the same person at once one succeeds (R131)", async () => {
  const { owner, admin } = await team();
  const other = await person();
  const answers = await Promise.all([add(owner, owner, other.email), add(admin, owner, other.email)]);
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 400]);
  expect(await auditOf(other.userId)).toEqual(["member.added"]);
});

test.for(ROLES)("%s: whose role and membership it may change (R133 to R136, T3)", async (role) => {
  const people = await team();
  const [by, { owner }] = [people[role], people];
  const may = role === "owner" || role === "admin";
  const target = await person({ teamId: owner.teamId, role: "member" });
  expect((await setRole(by, owner, target.userId, "admin")).status).toBe(may ? 204 : 403);
  expect(await roleOf(owner, target.userId)).toBe(may ? "admin" : "member");
  expect((await setRole(by, owner, target.userId, "admin")).status).toBe(may ? 204 : 403);
  expect(await auditOf(target.userId)).toEqual(may ? ["member.role_updated"] : []);
  for (const wrong of ["owner", "viewer", "", null, undefined, "Admin"]) {
    expect((await setRole(by, owner, target.userId, wrong)).status, String(wrong)).toBe(may ? 400 : 403);
  }
  for (const unknown of [stranger(), (await person()).userId, "nonsense"]) {
    expect((await setRole(by, owner, unknown, "admin")).status).toBe(may ? 404 : 403);
    expect((await remove(by, owner, unknown)).status).toBe(may ? 404 : 403);
  }
  expect((await setRole(by, owner, owner.userId, "member")).status).toBe(403);
  expect((await remove(by, owner, owner.userId)).status).toBe(403);
  expect(await roleOf(owner, owner.userId)).toBe("owner");
  expect((await remove(by, owner, target.userId)).status).toBe(may ? 204 : 403);
  expect((await remove(by, owner, target.userId)).status).toBe(may ? 404 : 403);
  expect(await roleOf(owner, target.userId)).toBe(may ? undefined : "member");
  expect(await auditOf(target.userId)).toEqual(may ? ["member.role_updated", "member.removed"] : []);
});

test("everybody but the owner may leave (R138)", async () => {
  const { owner, ...others } = await team();
  const leave = (one: Person) => one.call("POST", `/v1/teams/${owner.teamId}/leave`);
  expect((await leave(owner)).status).toBe(403);
  for (const one of Object.values(others)) {
    expect((await leave(one)).status).toBe(204);
    expect(await auditOf(one.userId)).toEqual(["member.left"]);
    expect((await one.call("GET", "/v1/teams")).body).toEqual([]);
    expect((await leave(one)).status).toBe(403);
  }
  expect(await countOf("memberships", "team_id = ?", owner.teamId)).toBe(1);
  expect(await countOf("audit_entries", "team_id = ? AND scope = 'admin' AND result = 'ok'", owner.teamId)).toBe(3);
});

test("a role holds from the next request on (R139, T7)", async () => {
  const { owner, member } = await team();
  const other = await person();
  expect((await add(member, owner, other.email)).status).toBe(403);
  await setRole(owner, owner, member.userId, "admin");
  expect((await add(member, owner, other.email)).status).toBe(201);
  await setRole(owner, owner, member.userId, "member");
  expect((await remove(member, owner, other.userId)).status).toBe(403);
});

test("who is removed acts for the team no more, by session or key, and keeps the account (R137, T7)", async () => {
  const { owner, member } = await team();
  const workspaces = "/api/v1/workspaces";
  const { key, id } = (await member.call("POST", "/v1/api-keys", {})).body;
  const byKey = async () => (await call("GET", workspaces, { headers: { "x-api-key": key } })).status;
  expect([(await member.call("GET", workspaces)).status, await byKey()]).toEqual([200, 200]);
  await remove(owner, owner, member.userId);
  expect(await byKey()).toBe(401);
  for (const path of [workspaces, "/v1/api-keys"]) {
    expect(await member.call("GET", path)).toMatchObject({ status: 403, body: { error: { code: "no_team" } } });
  }
  expect((await member.call("GET", `/v1/teams/${owner.teamId}`)).status).toBe(403);
  expect((await member.call("POST", "/v1/teams", { name: "own" })).status).toBe(201);
  expect((await owner.call("GET", "/v1/api-keys")).body).toEqual([]);

  await add(owner, owner, member.email);
  expect((await member.call("GET", workspaces)).status).toBe(200);
  // The key was made in a membership that is over.
  expect(await byKey()).toBe(401);
  expect(await countOf("api_keys", "id = ? AND revoked_at IS NOT NULL", id)).toBe(1);
});

test("leaving ends the key of the one who leaves and of nobody else (T7)", async () => {
  const { owner, member, admin } = await team();
  const keyOf = async (one: Person) => (await one.call("POST", "/v1/api-keys", {})).body.key;
  const [own, other] = [await keyOf(member), await keyOf(admin)];
  await member.call("POST", `/v1/teams/${owner.teamId}/leave`);
  const use = async (key: string) =>
    (await call("GET", "/api/v1/workspaces", { headers: { "x-api-key": key } })).status;
  expect([await use(own), await use(other)]).toEqual([401, 200]);
});

test("of two administrators who remove each other at once one stays (T7)", async () => {
  for (let round = 0; round < 5; round++) {
    const owner = await person();
    const [a, b] = [
      await person({ teamId: owner.teamId, role: "admin" }),
      await person({ teamId: owner.teamId, role: "admin" }),
    ];
    const answers = await Promise.all([remove(a, owner, b.userId), remove(b, owner, a.userId)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 403]);
    expect(await countOf("memberships", "team_id = ? AND role = 'admin'", owner.teamId)).toBe(1);
    expect(
      await countOf("audit_entries", "team_id = ? AND action = 'member.removed' AND result = 'ok'", owner.teamId),
    ).toBe(1);
  }
});
