import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { purgeDeletedAccounts } from "#domain/account/purge-deleted-accounts";
import { systemActor } from "#domain/actor";
import { DAY, MINUTE } from "#kernel/time";
import { eventually, newSandbox } from "#test/worker/control";
import { call, contextFor, countOf, rowOf } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";
import { clears, doneTo, lettersTo, newEmail, PASSWORD, post, withPassword } from "#test/worker/visitor";

const remove = (p: Person, confirmation: unknown = p.email) => p.call("DELETE", "/v1/me", { confirmation });
const purge = () => purgeDeletedAccounts(contextFor(systemActor("scheduler")));
const deletedSince = (p: Person, ms: number) =>
  env.DB.prepare("UPDATE users SET deleted_at = ? WHERE id = ?")
    .bind(Date.now() - ms, p.userId)
    .run();

test.for<[what: string, confirmation: unknown]>([
  ["nothing", ""],
  ["another e-mail", "someone@example.test"],
  ["no text", 7],
  ["no confirmation", undefined],
  ["a very long text", "x".repeat(601)],
])("deletion needs the account's e-mail; %s is refused (R65)", async ([, confirmation]) => {
  const p = await person();
  expect((await p.call("DELETE", "/v1/me", { confirmation })).status).toBe(400);
  expect(await rowOf("users", p.userId)).toMatchObject({ status: "active", deleted_at: null });
});

test("a deleted account logs in no more, and its sessions, keys and team of one end (R65, R67, R69)", async () => {
  const p = await withPassword();
  const other = await p.login();
  const { key, id: keyId } = (await p.call("POST", "/v1/api-keys", { name: "k" })).body;
  const sandbox = await newSandbox(p.teamId);
  await env.DB.prepare("UPDATE sandboxes SET status = 'running' WHERE id = ?").bind(sandbox).run();
  const withKey = () => call("GET", "/api/v1/workspaces", { headers: { "x-api-key": key } });
  expect((await withKey()).status).toBe(200);
  const answer = await remove(p, ` ${p.email.toUpperCase()}`);
  expect(answer.status).toBe(204);
  expect(clears(answer)).toBe(true);
  expect(await rowOf("users", p.userId)).toMatchObject({ status: "deleted", deleted_at: expect.any(Number) });
  for (const one of [p, other]) expect((await one.call("GET", "/v1/me")).status).toBe(401);
  expect((await withKey()).status).toBe(401);
  expect(await rowOf("api_keys", keyId)).toMatchObject({ revoked_at: expect.any(Number) });
  expect(await rowOf("teams", p.teamId)).toMatchObject({ deleted_at: expect.any(Number) });
  expect((await post("/v1/auth/login", { email: p.email, password: PASSWORD })).status).toBe(401);
  expect(await doneTo(p.userId)).toContain("user.deleted");
  expect(await doneTo(p.teamId)).toEqual(["team.deleted"]);
  await eventually(async () => expect((await rowOf("sandboxes", sandbox))?.status).toBe("stopped"));
});

test("the last one who administers the platform cannot go, not even of two at the same moment (R394)", async () => {
  const admins = [await person({ platformAdmin: true }), await person({ platformAdmin: true })] as const;
  const answers = await Promise.all(admins.map((p) => remove(p)));
  expect(answers.map(({ status }) => status).sort()).toEqual([204, 400]);
  expect(await countOf("users", "is_platform_admin = 1 AND status = 'active'")).toBe(1);
});

test("deletion is 409 while the user owns a team with somebody else in it (R66)", async () => {
  const p = await person();
  const member = await person({ teamId: p.teamId, role: "member" });
  expect(await remove(p)).toMatchObject({ status: 409, body: { error: { code: "owns_team_with_members" } } });
  expect(await rowOf("users", p.userId)).toMatchObject({ status: "active" });
  expect(await rowOf("teams", p.teamId)).toMatchObject({ deleted_at: null });
  expect((await p.call("GET", "/v1/me")).status).toBe(200);
  // The member may go, and whoever went counts no more.
  expect((await remove(member)).status).toBe(204);
  expect(await rowOf("teams", p.teamId)).toMatchObject({ deleted_at: null });
  expect((await remove(p)).status).toBe(204);
});

test("an account is removed for good after 15 days, not before, with everything that names it (R68, R70)", async () => {
  const owner = await person();
  const p = await withPassword({ teamId: owner.teamId, role: "admin" });
  await p.call("PATCH", "/v1/me", { name: "Somebody Known" });
  const { id: keyId, key } = (await p.call("POST", "/v1/api-keys", { name: "k" })).body;
  await call("POST", "/api/v1/workspaces", { headers: { "x-api-key": key }, body: { name: "w", runtime: "base" } });
  await env.DB.prepare("INSERT INTO user_providers VALUES ('github', ?, ?, ?, 0)")
    .bind(p.userId, p.userId, p.email)
    .run();
  await env.DB.prepare(
    "UPDATE audit_entries SET metadata = json_object('email', ?, 'role', 'admin') WHERE subject_id = ?",
  )
    .bind(p.email, keyId)
    .run();
  expect((await remove(p)).status).toBe(204);
  await deletedSince(p, 15 * DAY - MINUTE);
  await purge();
  expect(await rowOf("users", p.userId)).toMatchObject({ status: "deleted" });
  expect(await lettersTo(p.email)).toEqual([]);
  await deletedSince(p, 15 * DAY);
  await Promise.all([purge().catch(() => {}), purge().catch(() => {})]);
  expect(await rowOf("users", p.userId)).toBe(null);
  for (const [table, column] of [
    ["memberships", "user_id"],
    ["one_time_tokens", "user_id"],
    ["user_providers", "user_id"],
    ["api_keys", "created_by"],
  ] as const) {
    expect(await countOf(table, `${column} = ?`, p.userId), table).toBe(0);
  }
  const { results } = await env.DB.prepare("SELECT * FROM audit_entries").all();
  const log = JSON.stringify(results);
  for (const trace of [p.email, "Somebody Known"]) expect(log).not.toContain(trace);
  expect(await countOf("audit_entries", "actor_id IN (?, ?)", p.userId, keyId)).toBe(0);
  expect(await countOf("audit_entries", "actor_id = '' AND actor_name = 'deleted-user'")).toBeGreaterThan(3);
  expect(await rowOf("audit_entries", keyId, "subject_id")).toMatchObject({ metadata: '{"role":"admin"}' });
  expect((await lettersTo(p.email)).map(({ kind }) => kind)).toEqual(["account_deleted"]);
  expect(await rowOf("users", owner.userId)).toMatchObject({ status: "active" });
  expect((await post("/v1/auth/signup", { email: p.email, password: PASSWORD, name: "New" })).status).toBe(201);
});

test("the e-mail of a deleted account is taken until it is removed for good (R27)", async () => {
  const p = await person({ email: newEmail() });
  await remove(p);
  expect((await post("/v1/auth/signup", { email: p.email, password: PASSWORD, name: "New" })).status).toBe(409);
});
