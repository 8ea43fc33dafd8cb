import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { logIn } from "#domain/account/log-in";
import { NOBODY } from "#domain/actor";
import type { Operation } from "#http/operation";
import { sha256 } from "#kernel/digest";
import { authOperations } from "#surfaces/platform/auth";
import { browserSessionOperations } from "#surfaces/platform/browser-sessions";
import { meOperations } from "#surfaces/platform/me";
import { eventually } from "#test/worker/control";
import { call, contextFor, rowOf, tenant } from "#test/worker/harness";
import { browser, person } from "#test/worker/person";
import { cookieOf, letterToken, newEmail, PASSWORD, post, visitor, withPassword } from "#test/worker/visitor";

afterEach(() => vi.restoreAllMocks());

const operations = [...authOperations, ...meOperations, ...browserSessionOperations].map((op) => [op.id, op] as const);
const guarded = operations.filter(([, op]) => op.permission !== null);
const writing = guarded.filter(([, op]) => op.method !== "get");
const open = operations.filter(([, op]) => op.permission === null);

const BODIES: Record<string, unknown> = {
  signup: { email: "someone@example.test", password: "a good password", name: "Some One" },
  activate: { token: "x" },
  login: { email: "someone@example.test", password: "a good password" },
  switchTeam: { team_id: "team_0000000000abcdefghjk" },
  updateName: { name: "Other" },
  deleteAccount: { confirmation: "x" },
  changePassword: { current_password: "x", new_password: "a good password" },
  requestPasswordReset: { email: "someone@example.test" },
  confirmPasswordReset: { token: "x", new_password: "a good password" },
};
const send = (op: Operation, headers: Record<string, string>, body: unknown = BODIES[op.id]) =>
  call(op.method.toUpperCase(), op.path.replace("{id}", "0".repeat(64)), { headers, body });

test("there are fourteen operations, five of them for everybody (R14)", () => {
  expect(operations).toHaveLength(14);
  expect(open.map(([id]) => id).sort()).toEqual([
    "activate",
    "confirmPasswordReset",
    "login",
    "requestPasswordReset",
    "signup",
  ]);
});

test.for(guarded)(
  "%s answers 401 to any credential but a live session, and takes a worthless cookie back (R4, R12, R16, T2, T4)",
  async ([, op]) => {
    const [t, p] = [await tenant(), await person()];
    const shape = { status: 401, body: { error: { code: "unauthorized", message: expect.any(String) } } };
    const csrf = { "x-csrf-token": p.csrf };
    for (const headers of [
      {},
      csrf,
      { "x-api-key": t.key },
      { "x-api-key": t.key, cookie: p.cookie, ...csrf },
      { "x-api-key": p.token },
      { authorization: `Bearer ${p.token}` },
      { "x-host-token": "x" },
      { "x-setup-token": "x" },
    ]) {
      expect(await send(op, headers as Record<string, string>), JSON.stringify(headers)).toMatchObject(shape);
    }
    for (const sid of [
      p.csrf,
      await sha256(p.token),
      `${p.token}%`,
      `"${p.token}"`,
      `${p.token.slice(0, 20)}.${"A".repeat(43)}`,
    ]) {
      const answer = await send(op, { cookie: `wrenn_sid=${sid}; wrenn_csrf=${p.csrf}`, ...csrf });
      expect(answer, sid).toMatchObject(shape);
      expect(cookieOf(answer, "wrenn_sid")).toBe("");
    }
  },
);

test.for(guarded)("%s checks its permission in the verb too", async ([, op]) => {
  const raw = { url: "http://x", address: "", header: () => undefined };
  const body = BODIES[op.id] === undefined ? undefined : op.body.parse(BODIES[op.id]);
  const input = { params: { id: "x" }, query: {}, body, raw, outcome: { headers: new Headers() } };
  for (const actor of [NOBODY, (await tenant()).ctx.actor]) {
    const refused = actor.kind === "user" ? { ...actor, kind: "api_key" as const } : actor;
    await expect(op.run(contextFor(refused), input as never)).rejects.toMatchObject({ code: "forbidden" });
  }
});

test.for(writing)(
  "%s is refused without the anti-forgery value of the session, and to another origin's page (R6, R10, T8)",
  async ([, op]) => {
    const [p, other] = [await person(), await person()];
    for (const headers of [
      { cookie: p.cookie },
      { cookie: p.cookie, "x-csrf-token": other.csrf },
      { cookie: p.cookie, "x-csrf-token": "" },
      { cookie: p.cookie, "x-csrf-token": p.csrf, origin: "https://evil.example" },
    ]) {
      const answer = await send(op, headers);
      expect(answer).toMatchObject({ status: 403, body: { error: { code: "csrf_failed" } } });
    }
    expect((await p.call("GET", "/v1/me")).body).toMatchObject({ name: "Person" });
  },
);

test.for(open)("%s is refused to a page of another origin, and takes JSON alone (T8)", async ([, op]) => {
  for (const headers of [
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: "http://longshore.test.evil.example" },
    { "sec-fetch-site": "cross-site" },
  ]) {
    const answer = await send(op, { ...headers, "cf-connecting-ip": visitor().address } as Record<string, string>);
    expect(answer, JSON.stringify(headers)).toMatchObject({ status: 403, body: { error: { code: "csrf_failed" } } });
  }
  const own = await send(op, { origin: "http://longshore.test", "cf-connecting-ip": visitor().address });
  expect(own.body?.error?.code).not.toBe("csrf_failed");
  if (op.id === "requestPasswordReset") return;
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
    const body = JSON.stringify(BODIES[op.id]);
    const headers = { "content-type": type, "cf-connecting-ip": visitor().address };
    expect((await call("POST", op.path, { body, headers })).status, type).toBe(400);
  }
});

test("read-only and unknown fields change nothing, in no write (T11)", async () => {
  const email = newEmail();
  const more = {
    id: "usr_0000000000abcdefghjk",
    user_id: "usr_0000000000abcdefghjk",
    status: "active",
    is_admin: true,
    is_platform_admin: true,
    isPlatformAdmin: true,
    role: "owner",
    created_at: 1,
    password_hash: "x",
    passwordHash: "x",
    username: "root",
    teamId: "team_0000000000abcdefghjk",
    constructor: { prototype: { isPlatformAdmin: true } },
  };
  const proto = (body: unknown) =>
    JSON.stringify(body).replace("{", '{"__proto__":{"isPlatformAdmin":true,"status":"active"},');
  const json = { "content-type": "application/json" };
  await person({ platformAdmin: true });
  await post("/v1/auth/signup", proto({ email, password: PASSWORD, name: "Ada", ...more }), json);
  const user = await rowOf("users", email, "email");
  expect(user).toMatchObject({ status: "inactive", is_platform_admin: 0, username: null, name: "Ada" });
  expect(user?.id).not.toBe(more.id);
  const answer = await post("/v1/auth/activate", proto({ token: await letterToken(email), ...more }), json);
  expect(answer.body).toMatchObject({ user_id: user?.id, is_admin: false });
  const b = await browser(cookieOf(answer, "wrenn_sid") ?? "");
  const before = await rowOf("users", email, "email");
  expect((await b.call("PATCH", "/v1/me", { name: "Grace", email: "other@example.test", ...more })).status).toBe(204);
  expect(await rowOf("users", email, "email")).toEqual({ ...before, name: "Grace", updated_at: expect.any(Number) });
  expect((await post("/v1/auth/login", { email, password: PASSWORD, ...more })).body).toMatchObject({
    user_id: user?.id,
    is_admin: false,
  });
});

test("an unknown e-mail, a known one and an account without a password cost the same hashes (R37)", async () => {
  const [known, oauthOnly] = [await withPassword(), await person({ email: newEmail() })];
  const counts: [number, number][] = [];
  for (const email of [known.email, oauthOnly.email, newEmail()]) {
    const work: [number, number] = [0, 0];
    const { passwords } = known.ctx;
    const counting = {
      hash: (password: string) => {
        work[0]++;
        return passwords.hash(password);
      },
      verify: (password: string, stored: string | null) => {
        work[1]++;
        return passwords.verify(password, stored);
      },
    };
    const device = { userAgent: "", address: "" };
    const attempt = logIn({ ...known.ctx, passwords: counting }, { email, password: "a wrong password", device });
    await expect(attempt).rejects.toMatchObject({
      code: "unauthenticated",
      message: "the e-mail or the password is wrong",
    });
    counts.push(work);
  }
  expect(counts).toEqual([
    [0, 1],
    [0, 1],
    [0, 1],
  ]);
});

test("a session cookie with a letter that is no ASCII is refused (T4)", async () => {
  const p = await person();
  expect((await call("GET", "/v1/me", { headers: { cookie: `wrenn_sid=${p.token}é` } })).status).toBe(401);
});

/** Everything that is stored: all tables of the directory, and a user's own object. */
async function stored(userId: string): Promise<string> {
  const { results } = await env.DB.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
  ).all();
  const rows = await Promise.all(results.map(({ name }) => env.DB.prepare(`SELECT * FROM "${name}"`).all()));
  const object = await runInDurableObject(env.PRINCIPAL.getByName(userId), (_, { storage: { sql } }) => {
    const tables = sql
      .exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'")
      .toArray();
    return tables.map(({ name }) => sql.exec(`SELECT * FROM "${name}"`).toArray());
  });
  return JSON.stringify([rows.map(({ results: all }) => all), object]);
}

test("no password, token or cookie is in any row, object or log line (T10)", async () => {
  const lines: string[] = [];
  for (const level of ["debug", "info", "warn", "error", "log"] as const) {
    vi.spyOn(console, level).mockImplementation((...args) => void lines.push(args.map(String).join(" ")));
  }
  Reflect.set(env, "LOG_LEVEL", "debug");
  const [email, first, second, third] = [newEmail(), "canary-password-1", "canary-password-2", "canary-password-3"];
  await post("/v1/auth/signup", { email, password: first, name: "Ada" });
  const activation = await letterToken(email);
  const answer = await post("/v1/auth/activate", { token: activation });
  const userId = answer.body.user_id;
  const b = await browser(cookieOf(answer, "wrenn_sid") ?? "");
  await b.call("POST", "/v1/me/password", { current_password: "canary-password-0", new_password: second });
  await b.call("POST", "/v1/me/password", { current_password: first, new_password: second });
  await post("/v1/auth/login", { email, password: "canary-password-4" });
  await post("/v1/auth/login", { email: 7, password: "canary-password-5" });
  await post("/v1/me/password/reset", { email });
  const reset = await letterToken(email, "password_reset");
  await post("/v1/me/password/reset/confirm", { token: reset, new_password: third });
  const last = await post("/v1/auth/login", { email, password: third });
  const [sid, csrf] = [cookieOf(last, "wrenn_sid") ?? "", cookieOf(last, "wrenn_csrf") ?? ""];
  await eventually(() => expect(lines.length).toBeGreaterThan(8));
  Reflect.set(env, "LOG_LEVEL", "error");
  const everything = `${await stored(userId)}\n${lines.join("\n")}`;
  expect(everything).toContain(userId);
  for (const secret of ["canary-password", activation, reset, b.token, b.csrf, sid, csrf]) {
    expect(secret.length).toBeGreaterThan(10);
    expect(everything).not.toContain(secret);
  }
});
