import { env } from "cloudflare:workers";
import { scrypt } from "node:crypto";
import { expect, test } from "vitest";
import { logIn } from "#domain/account/log-in";
import { newTeam } from "#test/worker/control";
import { call, countOf, rowOf } from "#test/worker/harness";
import { browser, person } from "#test/worker/person";
import { cookieOf, doneTo, newEmail, PASSWORD, post, visitor, withPassword } from "#test/worker/visitor";

const login = (email: string, password = PASSWORD) => post("/v1/auth/login", { email, password });
const set = (column: string, value: unknown, userId: string) =>
  env.DB.prepare(`UPDATE users SET ${column} = ? WHERE id = ?`).bind(value, userId).run();

test("login answers who is logged in and sets both cookies (R36, R41, R42)", async () => {
  const p = await withPassword();
  const answer = await login(p.email);
  expect(answer).toMatchObject({ status: 200 });
  const { userId: user_id, teamId: team_id, email } = p;
  expect(answer.body).toEqual({ user_id, team_id, email, name: "Person", role: "owner", is_admin: false });
  const b = await browser(cookieOf(answer, "wrenn_sid") ?? "");
  expect(cookieOf(answer, "wrenn_csrf")).toBe(b.csrf);
  expect((await b.call("GET", "/v1/me")).status).toBe(200);
  expect(await doneTo(p.userId)).toEqual(["user.logged_in"]);
});

test("cookies are Secure but on plain http (R41)", async () => {
  const p = await withPassword();
  const secure = await call("POST", "/v1/auth/login", {
    body: { email: p.email, password: PASSWORD },
    origin: "https://longshore.example",
    headers: { "cf-connecting-ip": visitor().address },
  });
  const [sid, csrf] = secure.headers.getSetCookie();
  expect(sid).toMatch(/; SameSite=Strict; HttpOnly; Secure$/);
  expect(csrf).toMatch(/; SameSite=Strict; Secure$/);
});

test("wrong password, unknown e-mail, no password and deleted account are one and the same refusal (R37, R38, R39)", async () => {
  const [known, oauthOnly, deleted] = [await withPassword(), await person({ email: newEmail() }), await withPassword()];
  await set("status", "deleted", deleted.userId);
  const answers = [
    await login(known.email, "a wrong password"),
    await login(newEmail()),
    await login(oauthOnly.email),
    await login(deleted.email),
    await login(known.email, PASSWORD.toUpperCase()),
    await login(known.email, `${PASSWORD} `),
  ];
  for (const { status, body, headers } of answers) {
    expect(status).toBe(401);
    expect(body).toEqual(answers[0]?.body);
    expect(headers.getSetCookie()).toEqual([]);
  }
});

test("only who knows the password learns that an account is disabled (R39)", async () => {
  const p = await withPassword();
  await set("status", "disabled", p.userId);
  expect(await login(p.email)).toMatchObject({ status: 403, body: { error: { code: "account_disabled" } } });
  expect((await login(p.email, "a wrong password")).status).toBe(401);
});

test("login takes the default team, else the one joined first, else makes a new one (R40)", async () => {
  const p = await withPassword();
  const [older, younger] = [newTeam(), newTeam()];
  for (const [teamId, joined] of [
    [older, 1],
    [younger, 2],
  ] as const) {
    await env.DB.batch([
      env.DB.prepare(
        "INSERT INTO teams (id, name, slug, settings, created_at, updated_at) VALUES (?1, 't', ?1, '{}', 0, 0)",
      ).bind(teamId),
      env.DB.prepare("INSERT INTO memberships VALUES (?, ?, 'member', ?, 0)").bind(teamId, p.userId, joined),
    ]);
  }
  const teamOf = async () => {
    const { body } = await login(p.email);
    return [body.team_id, body.role];
  };
  const end = (id: string) => env.DB.prepare("UPDATE teams SET deleted_at = 1 WHERE id = ?").bind(id).run();
  expect(await teamOf()).toEqual([p.teamId, "owner"]);
  await end(p.teamId);
  expect(await teamOf()).toEqual([older, "member"]);
  await end(older);
  expect(await teamOf()).toEqual([younger, "member"]);
  await end(younger);
  const [one, other] = await Promise.all([login(p.email), login(p.email)]);
  expect(one.body).toMatchObject({ role: "owner", team_id: other.body.team_id });
  expect(await rowOf("teams", one.body.team_id)).toMatchObject({ name: "Person's Team" });
  expect(await countOf("memberships", "user_id = ?", p.userId)).toBe(4);
});

test("a hash of older parameters is renewed at login, by the password alone", async () => {
  const derived = Promise.withResolvers<Uint8Array>();
  const salt = new Uint8Array(16).fill(7);
  scrypt(PASSWORD, salt, 32, { N: 2 ** 14, r: 8, p: 1, maxmem: 2 ** 26 }, (_, key) => derived.resolve(key));
  const plain = (raw: Uint8Array) => btoa(String.fromCharCode(...raw)).replaceAll("=", "");
  const old = `$scrypt$ln=14,r=8,p=1$${plain(salt)}$${plain(await derived.promise)}`;
  const p = await person({ email: newEmail(), passwordHash: old });
  const stored = async () => (await rowOf("users", p.userId))?.password_hash;
  expect((await login(p.email, "a wrong password")).status).toBe(401);
  expect(await stored()).toBe(old);
  expect((await login(p.email)).status).toBe(200);
  expect(await stored()).toMatch(/^\$scrypt\$ln=15,r=8,p=1\$/);
  expect((await login(p.email)).status).toBe(200);
});

test("a login that is overtaken by a change of the password leaves no session", async () => {
  const p = await withPassword();
  const passwords = {
    ...p.ctx.passwords,
    verify: async (...args: Parameters<typeof p.ctx.passwords.verify>) => {
      const result = await p.ctx.passwords.verify(...args);
      await set("password_hash", await p.ctx.passwords.hash("another password"), p.userId);
      await p.ctx.principals.principal(p.userId).revokeAll();
      return result;
    },
  };
  const device = { userAgent: "", address: "" };
  const attempt = logIn({ ...p.ctx, passwords }, { email: p.email, password: PASSWORD, device });
  await expect(attempt).rejects.toMatchObject({ code: "unauthenticated" });
  expect(await p.ctx.principals.principal(p.userId).list()).toEqual([]);
});
