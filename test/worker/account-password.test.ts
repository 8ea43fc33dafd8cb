import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { MINUTE } from "#kernel/time";
import { eventually } from "#test/worker/control";
import { call, countOf, rowOf } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";
import {
  clears,
  doneTo,
  lettersTo,
  letterToken,
  newEmail,
  PASSWORD,
  post,
  visitor,
  withPassword,
} from "#test/worker/visitor";

const NEW = "an even better password";
const login = async (email: string, password: string) => (await post("/v1/auth/login", { email, password })).status;
const change = (p: Person, body: unknown) => p.call("POST", "/v1/me/password", body);
const hashOf = async (p: Person) => (await rowOf("users", p.userId))?.password_hash;

test("a changed password logs in, the old one does not, and every session ends (R48, R49, R71, R74)", async () => {
  const p = await withPassword();
  const other = await p.login();
  const answer = await change(p, { current_password: PASSWORD, new_password: NEW });
  expect(answer.status).toBe(204);
  expect(clears(answer)).toBe(true);
  for (const one of [p, other]) expect((await one.call("GET", "/v1/me")).status).toBe(401);
  expect(await login(p.email, PASSWORD)).toBe(401);
  expect(await login(p.email, NEW)).toBe(200);
  expect(await doneTo(p.userId)).toContain("user.password_changed");
  const letters = await eventually(async () => {
    const all = await lettersTo(p.email);
    if (all.length === 0) throw new Error("no letter");
    return all;
  });
  expect(letters.map(({ kind }) => kind)).toEqual(["password_changed"]);
});

test("the current password is needed: 400 without it, 401 wrong_password with another (R71)", async () => {
  const p = await withPassword();
  const before = await hashOf(p);
  expect((await change(p, { new_password: NEW })).status).toBe(400);
  expect((await change(p, { new_password: NEW, confirm_password: NEW })).status).toBe(400);
  const wrong = await change(p, { current_password: "a wrong password", new_password: NEW });
  expect(wrong).toMatchObject({ status: 401, body: { error: { code: "wrong_password" } } });
  expect(wrong.headers.getSetCookie()).toEqual([]);
  expect(await hashOf(p)).toBe(before);
  expect((await p.call("GET", "/v1/me")).status).toBe(200);
  const refused = "subject_id = ? AND action = 'user.password_changed' AND result = 'refused'";
  await eventually(async () => expect(await countOf("audit_entries", refused, p.userId)).toBe(1));
});

test("who has no password adds one by typing it twice, which ends every session too (R48, R62, R72)", async () => {
  const p = await person({ email: newEmail() });
  for (const body of [
    { new_password: NEW },
    { new_password: NEW, confirm_password: `${NEW}!` },
    { new_password: NEW, current_password: NEW },
  ]) {
    expect(await change(p, body)).toMatchObject({ status: 400, body: { error: { code: "invalid_request" } } });
  }
  expect(await hashOf(p)).toBe(null);
  expect((await change(p, { new_password: NEW, confirm_password: NEW })).status).toBe(204);
  expect((await p.call("GET", "/v1/me")).status).toBe(401);
  expect(await login(p.email, NEW)).toBe(200);
});

test("of two changes at the same moment one wins", async () => {
  const p = await withPassword();
  const other = await p.login();
  const wanted = [`${NEW} 1`, `${NEW} 2`];
  const answers = await Promise.all(
    [p, other].map((b, n) =>
      b.call("POST", "/v1/me/password", { current_password: PASSWORD, new_password: wanted[n] }),
    ),
  );
  const won = answers.flatMap(({ status }, n) => (status === 204 ? [wanted[n]] : []));
  expect(won).toHaveLength(1);
  expect(await login(p.email, won[0] ?? "")).toBe(200);
});

test("a new password has 8 characters or more wherever it is set (R73)", async () => {
  const [p, oauthOnly] = [await withPassword(), await person()];
  const short = "1234567";
  expect((await change(p, { current_password: PASSWORD, new_password: short })).status).toBe(400);
  expect((await change(oauthOnly, { new_password: short, confirm_password: short })).status).toBe(400);
  await post("/v1/me/password/reset", { email: p.email });
  const token = await letterToken(p.email, "password_reset");
  expect((await post("/v1/me/password/reset/confirm", { token, new_password: short })).status).toBe(400);
  expect((await post("/v1/me/password/reset/confirm", { token, new_password: `${short}8` })).status).toBe(204);
});

const ask = (email: unknown) => post("/v1/me/password/reset", { email });
const confirm = (token: string, new_password = NEW) => post("/v1/me/password/reset/confirm", { token, new_password });

test("asking for a reset answers the same for everybody, and for a body that is none (R75, R76)", async () => {
  const [known, disabled] = [await withPassword(), await withPassword()];
  await env.DB.prepare("UPDATE users SET status = 'disabled' WHERE id = ?").bind(disabled.userId).run();
  const waiting = newEmail();
  await post("/v1/auth/signup", { email: waiting, password: PASSWORD, name: "Ada" });
  const json = { "content-type": "application/json" };
  const answers = [
    await ask(known.email),
    await ask(disabled.email),
    await ask(waiting),
    await ask(newEmail()),
    await ask("no e-mail"),
    await ask(7),
    await post("/v1/me/password/reset", {}),
    await post("/v1/me/password/reset", "{", json),
    await post("/v1/me/password/reset", "[1]", json),
    await post("/v1/me/password/reset", "", json),
    await post("/v1/me/password/reset", `${"[".repeat(500)}${"]".repeat(500)}`, json),
    await post("/v1/me/password/reset", "email=x", { "content-type": "application/x-www-form-urlencoded" }),
    await post("/v1/me/password/reset"),
  ];
  for (const { status, text, headers } of answers) {
    expect({ status, text, cookies: headers.getSetCookie() }).toEqual({ status: 204, text: "", cookies: [] });
  }
  await letterToken(known.email, "password_reset");
  expect((await lettersTo(waiting)).map(({ kind }) => kind)).toEqual(["activation"]);
  expect(await lettersTo(disabled.email)).toEqual([]);
  expect(await countOf("one_time_tokens", "kind = 'password_reset'")).toBe(1);
});

test("the work of a reset comes after the answer, so that time tells nothing (R75)", async () => {
  const p = await withPassword();
  const { requestPasswordReset } = await import("#domain/account/request-password-reset");
  const deferred: (() => Promise<unknown>)[] = [];
  const db = new Proxy(p.ctx.db, {
    get: (target, name) => {
      used.push(name);
      return Reflect.get(target, name);
    },
  });
  const used: (string | symbol)[] = [];
  requestPasswordReset({ ...p.ctx, db, defer: (work) => void deferred.push(work) }, p.email);
  expect({ used, deferred: deferred.length }).toEqual({ used: [], deferred: 1 });
  await deferred[0]?.();
  expect(await lettersTo(p.email)).toHaveLength(1);
});

test("a reset sets the password once and ends every session (R48, R78, R79)", async () => {
  const p = await withPassword();
  await ask(` ${p.email.toUpperCase()} `);
  const token = await letterToken(p.email, "password_reset");
  expect((await p.call("GET", "/v1/me")).status).toBe(200);
  const answer = await confirm(token);
  expect(answer.status).toBe(204);
  expect(answer.headers.getSetCookie()).toEqual([]);
  expect((await p.call("GET", "/v1/me")).status).toBe(401);
  expect(await login(p.email, PASSWORD)).toBe(401);
  expect(await login(p.email, NEW)).toBe(200);
  expect(await confirm(token, "a third password")).toMatchObject({
    status: 400,
    body: { error: { code: "invalid_token" } },
  });
  expect(await login(p.email, NEW)).toBe(200);
});

test("a reset gives a password to who logged in by a provider alone", async () => {
  const p = await person({ email: newEmail() });
  await ask(p.email);
  expect((await confirm(await letterToken(p.email, "password_reset"))).status).toBe(204);
  expect(await login(p.email, NEW)).toBe(200);
});

test.for([
  [14.5, 204],
  [15, 400],
] as const)("a reset token that is %i minutes old answers %i (R77)", async ([minutes, status]) => {
  const p = await withPassword();
  await ask(p.email);
  const token = await letterToken(p.email, "password_reset");
  await env.DB.prepare("UPDATE one_time_tokens SET expires_at = expires_at - ? WHERE user_id = ?")
    .bind(minutes * MINUTE, p.userId)
    .run();
  expect((await confirm(token)).status).toBe(status);
});

test("of parallel confirms with one token one wins (R80)", async () => {
  const p = await withPassword();
  await ask(p.email);
  const token = await letterToken(p.email, "password_reset");
  const wanted = [1, 2, 3].map((n) => `${NEW} ${n}`);
  const answers = await Promise.all(wanted.map((password) => confirm(token, password)));
  expect(answers.map(({ status }) => status).sort()).toEqual([204, 400, 400]);
  const won = wanted[answers.findIndex(({ status }) => status === 204)] ?? "";
  expect(await login(p.email, won)).toBe(200);
  expect(await countOf("audit_entries", "subject_id = ? AND action = 'user.password_reset'", p.userId)).toBe(1);
});

test("a newer reset makes older ones worthless, and so does a change of the password", async () => {
  const p = await withPassword();
  await ask(p.email);
  const older = await letterToken(p.email, "password_reset");
  await ask(p.email);
  const newer = await eventually(async () => {
    const token = await letterToken(p.email, "password_reset");
    if (token === older) throw new Error("the newer letter is not there yet");
    return token;
  });
  expect((await confirm(older)).status).toBe(400);
  expect((await change(p, { current_password: PASSWORD, new_password: NEW })).status).toBe(204);
  expect((await confirm(newer)).status).toBe(400);
});

test("a token works for its own purpose alone (T4)", async () => {
  const [p, waiting] = [await withPassword(), newEmail()];
  await ask(p.email);
  await post("/v1/auth/signup", { email: waiting, password: PASSWORD, name: "Ada" });
  const [reset, activation] = [await letterToken(p.email, "password_reset"), await letterToken(waiting)];
  expect((await post("/v1/auth/activate", { token: reset })).status).toBe(400);
  expect((await confirm(activation)).status).toBe(400);
  for (const token of [reset, activation]) {
    expect((await call("GET", "/v1/me", { headers: { cookie: `wrenn_sid=${token}` } })).status).toBe(401);
    expect((await call("GET", "/v1/api-keys", { headers: { "x-api-key": token } })).status).toBe(401);
  }
  expect((await post("/v1/auth/activate", { token: activation })).status).toBe(200);
});

test("a reset letter never links to a host that a stranger's request named", async () => {
  const p = await withPassword();
  const { address } = visitor();
  const headers = { "cf-connecting-ip": address, "x-forwarded-host": "evil.example" };
  await call("POST", "/v1/me/password/reset", { body: { email: p.email }, origin: "https://evil.example", headers });
  const token = await letterToken(p.email, "password_reset");
  const [letter] = await lettersTo(p.email);
  expect(letter?.text).toContain(token);
  for (const part of [letter?.text, letter?.html]) {
    expect(part).not.toContain("evil.example");
    expect(part).not.toContain("?token=");
  }
});
