import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { HOUR, SECOND } from "#kernel/time";
import { newTeam } from "#test/worker/control";
import { call, rowOf, tenant } from "#test/worker/harness";
import { browser, person } from "#test/worker/person";
import { cookieOf, doneTo, newEmail, withPassword } from "#test/worker/visitor";

test("getMe tells name, e-mail, whether there is a password, and the linked providers (R61, R62, R98)", async () => {
  const [p, oauthOnly] = [await withPassword(), await person({ email: newEmail() })];
  const { userId: user_id, teamId: team_id, email } = p;
  const answer = await p.call("GET", "/v1/me");
  expect(answer).toMatchObject({ status: 200 });
  expect(answer.body).toEqual({
    user_id,
    team_id,
    email,
    name: "Person",
    role: "owner",
    is_admin: false,
    has_password: true,
    providers: [],
  });
  await env.DB.prepare("INSERT INTO user_providers VALUES ('github', '77', ?, 'x@example.test', 0)")
    .bind(oauthOnly.userId)
    .run();
  expect((await oauthOnly.call("GET", "/v1/me")).body).toMatchObject({ has_password: false, providers: ["github"] });
  expect((await p.call("GET", "/v1/me")).body.providers).toEqual([]);
});

test("every other session shows a new name on its next request (R63, R64)", async () => {
  const p = await person();
  const other = await p.login();
  expect((await other.call("GET", "/v1/me")).body.name).toBe("Person");
  for (const [name, stored] of [
    ["  Grace Hopper ", "Grace Hopper"],
    ["x", "x"],
    ["y".repeat(100), "y".repeat(100)],
  ]) {
    expect((await p.call("PATCH", "/v1/me", { name })).status).toBe(204);
    expect((await other.call("GET", "/v1/me")).body.name).toBe(stored);
    expect(await rowOf("users", p.userId)).toMatchObject({ name: stored });
  }
  const made = await other.call("POST", "/v1/api-keys", { name: "k" });
  expect(await rowOf("audit_entries", made.body.id, "subject_id")).toMatchObject({ actor_name: "y".repeat(100) });
  expect(await doneTo(p.userId)).toEqual(["user.renamed", "user.renamed", "user.renamed"]);
});

test.for([[{ name: "" }], [{ name: "  " }], [{ name: "x".repeat(101) }], [{}], [{ name: 7 }], [{ name: "a\nb" }]])(
  "updateName refuses %j (R63)",
  async ([body]) => {
    const p = await person();
    expect((await p.call("PATCH", "/v1/me", body)).status).toBe(400);
    expect(await rowOf("users", p.userId)).toMatchObject({ name: "Person" });
  },
);

/** A team of a stranger, which the person joins with a role. */
async function otherTeam(userId: string, role: string | null = "member") {
  const teamId = newTeam();
  await env.DB.batch([
    env.DB.prepare(
      "INSERT INTO teams (id, name, slug, settings, created_at, updated_at) VALUES (?1, 't', ?1, '{}', 0, 0)",
    ).bind(teamId),
    ...(role ? [env.DB.prepare("INSERT INTO memberships VALUES (?, ?, ?, 0, 0)").bind(teamId, userId, role)] : []),
  ]);
  return teamId;
}
const switchTo = (b: Pick<Awaited<ReturnType<typeof browser>>, "call">, team_id: unknown) =>
  b.call("POST", "/v1/auth/switch-team", { team_id });

test("switch-team goes on in the other team with new cookies, and the old session is over (R57, R60)", async () => {
  const p = await person();
  const teamId = await otherTeam(p.userId, "viewer");
  await p.call("GET", "/v1/me");
  const answer = await switchTo(p, teamId);
  expect(answer.status).toBe(200);
  expect(answer.body).toEqual({
    user_id: p.userId,
    team_id: teamId,
    email: p.email,
    name: "Person",
    role: "viewer",
    is_admin: false,
  });
  const b = await browser(cookieOf(answer, "wrenn_sid") ?? "");
  expect(b.token).not.toBe(p.token);
  expect(cookieOf(answer, "wrenn_csrf")).toBe(b.csrf);
  expect((await p.call("GET", "/v1/me")).status).toBe(401);
  expect((await b.call("GET", "/v1/me")).body).toMatchObject({ team_id: teamId, role: "viewer" });
  const { sessions } = (await b.call("GET", "/v1/me/sessions")).body;
  expect(sessions).toHaveLength(1);
  expect(Date.parse(sessions[0].expires_at)).toBeGreaterThan(Date.now() + 24 * HOUR - 60 * SECOND);
  expect(await doneTo(p.userId)).toEqual(["user.team_switched"]);
});

test("switch-team is 403 for a team of others, 404 for an unknown or deleted one, 400 without one (R58, R59)", async () => {
  const p = await person();
  const [foreign, deleted] = [await otherTeam(p.userId, null), await otherTeam(p.userId)];
  await env.DB.prepare("UPDATE teams SET deleted_at = 1 WHERE id = ?").bind(deleted).run();
  expect((await switchTo(p, foreign)).status).toBe(403);
  for (const id of [deleted, newTeam(), "nothing"]) expect((await switchTo(p, id)).status).toBe(404);
  for (const id of [undefined, "", 7, null]) expect((await switchTo(p, id)).status).toBe(400);
  expect((await p.call("GET", "/v1/me")).body).toMatchObject({ team_id: p.teamId });
});

test("membership is read at the moment of the switch (R58)", async () => {
  const p = await person();
  const teamId = await otherTeam(p.userId);
  await p.call("GET", "/v1/me");
  await env.DB.prepare("DELETE FROM memberships WHERE team_id = ?").bind(teamId).run();
  expect((await switchTo(p, teamId)).status).toBe(403);
});

test("one of two switches of one session at the same moment wins", async () => {
  const p = await person();
  const teamId = await otherTeam(p.userId);
  const answers = await Promise.all([switchTo(p, teamId), switchTo(p, teamId), switchTo(p, teamId)]);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
  expect(await p.ctx.principals.principal(p.userId).list()).toHaveLength(1);
});

test("a user without a team still has an account, and switches to a team again", async () => {
  const p = await person();
  const teamId = await otherTeam(p.userId);
  expect((await p.call("DELETE", `/v1/teams/${p.teamId}`)).status).toBe(204);
  expect((await p.call("GET", "/v1/me")).body).toMatchObject({ team_id: null, role: null });
  expect((await switchTo(p, teamId)).status).toBe(200);
});

test("an API key opens nothing of an account (R12)", async () => {
  const t = await tenant();
  for (const path of ["/v1/me", "/v1/me/sessions"]) {
    expect((await call("GET", path, { headers: { "x-api-key": t.key } })).status).toBe(401);
  }
});
