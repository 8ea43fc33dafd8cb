import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { MINUTE } from "#kernel/time";
import { countOf, rowOf } from "#test/worker/harness";
import { cookieOf, doneTo, lettersTo, letterToken, newEmail, post } from "#test/worker/visitor";

const form = (more: Record<string, unknown> = {}) => ({
  email: newEmail(),
  password: "a good password",
  name: "Ada",
  ...more,
});
const signUp = (body: unknown) => post("/v1/auth/signup", body);
const activate = (token: string) => post("/v1/auth/activate", { token });
const login = (email: string, password = "a good password") => post("/v1/auth/login", { email, password });

/** Sets back when an account was signed up, and its tokens with it. */
async function age(email: string, ms: number) {
  await env.DB.batch([
    env.DB.prepare(
      "UPDATE one_time_tokens SET expires_at = expires_at - ?1 WHERE user_id = (SELECT id FROM users WHERE email = ?2)",
    ).bind(ms, email),
    env.DB.prepare("UPDATE users SET created_at = created_at - ?1 WHERE email = ?2").bind(ms, email),
  ]);
}

test("the first accounts to become active at the same time give one platform administrator (R35)", async () => {
  const forms = [form(), form(), form()];
  for (const one of forms) expect((await signUp(one)).status).toBe(201);
  const tokens = await Promise.all(forms.map(({ email }) => letterToken(email)));
  const answers = await Promise.all(tokens.map(activate));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(answers.filter(({ body }) => body.is_admin)).toHaveLength(1);
  expect(await countOf("users", "is_platform_admin = 1")).toBe(1);
});

test("sign-up answers a message, gives no credential, and the account waits for its activation (R22, R23, R39)", async () => {
  const one = form({ name: "  Grace  " });
  const answer = await signUp(one);
  expect(answer).toMatchObject({ status: 201, body: { message: expect.any(String) } });
  expect(Object.keys(answer.body)).toEqual(["message"]);
  expect(answer.headers.getSetCookie()).toEqual([]);
  expect(await rowOf("users", one.email, "email")).toMatchObject({
    status: "inactive",
    name: "Grace",
    is_platform_admin: 0,
  });
  expect(await login(one.email)).toMatchObject({ status: 403, body: { error: { code: "account_not_activated" } } });
  expect((await login(one.email, "a bad password")).status).toBe(401);
});

test("sign-up sends exactly one letter with the token, which is stored as a hash alone (R24, R80)", async () => {
  const one = form();
  await signUp(one);
  const letters = await lettersTo(one.email);
  expect(letters).toHaveLength(1);
  const token = await letterToken(one.email);
  expect(token).toMatch(/^[\w-]{43}$/);
  for (const part of [letters[0]!.text, letters[0]!.html]) expect(part).toContain(token);
  const { results } = await env.DB.prepare("SELECT * FROM one_time_tokens").all();
  expect(JSON.stringify(results)).not.toContain(token);
});

test.for([
  ["no e-mail", { email: undefined }],
  ["no password", { password: undefined }],
  ["no name", { name: undefined }],
  ["a malformed e-mail", { email: "ada" }],
  ["an e-mail with a line break", { email: "ada@example.test\r\nbcc: eve@example.test" }],
  ["an e-mail with an invisible character", { email: "a\u200bda@example.test" }],
  ["an e-mail that is too long", { email: `${"a".repeat(64)}@${"b".repeat(200)}.test` }],
  ["an e-mail that is a list", { email: ["a@example.test"] }],
  ["a password of 7 characters", { password: "1234567" }],
  ["a password that takes too long to hash", { password: "x".repeat(1025) }],
  ["a name of 101 characters", { name: "x".repeat(101) }],
  ["an empty name", { name: "" }],
  ["a blank name", { name: "   " }],
  ["a name with a line break", { name: "Ada\r\nBcc: x" }],
] as const)("sign-up refuses %s (R25, R26, R29)", async ([, change]) => {
  const before = await countOf("users", "1");
  expect(await signUp(form(change))).toMatchObject({ status: 400, body: { error: { code: "invalid_request" } } });
  expect(await countOf("users", "1")).toBe(before);
});

test("limits are inclusive: 8 characters of password, 100 of name (R26)", async () => {
  expect((await signUp(form({ password: "12345678", name: "x".repeat(100) }))).status).toBe(201);
});

test("an e-mail is one account however it is written (R27, R29)", async () => {
  const one = form({ email: `  ${newEmail().toUpperCase()} ` });
  const stored = one.email.trim().toLowerCase();
  expect((await signUp(one)).status).toBe(201);
  await activate(await letterToken(stored));
  expect(await rowOf("users", stored, "email")).toMatchObject({ status: "active" });
  for (const email of [stored, one.email, stored.replace("v", "V")]) {
    expect(await signUp(form({ email }))).toMatchObject({ status: 409, body: { error: { code: "email_taken" } } });
    expect((await login(email)).status).toBe(200);
  }
  expect(await countOf("users", "email = ?", stored)).toBe(1);
});

test("an e-mail that waits for activation is held for 30 minutes, then a new sign-up replaces it (R28)", async () => {
  const one = form();
  await signUp(one);
  const [first, firstToken] = [await rowOf("users", one.email, "email"), await letterToken(one.email)];
  const cooling = { status: 409, body: { error: { code: "signup_cooldown" } } };
  expect(await signUp(one)).toMatchObject(cooling);
  await age(one.email, 29 * MINUTE);
  expect(await signUp({ ...one, name: "Eve" })).toMatchObject(cooling);
  expect(await lettersTo(one.email)).toHaveLength(1);
  await age(one.email, MINUTE);
  expect((await signUp({ ...one, name: "Second", password: "another password" })).status).toBe(201);
  const second = await rowOf("users", one.email, "email");
  expect(second).toMatchObject({ name: "Second", status: "inactive" });
  expect(second?.id).not.toBe(first?.id);
  expect(await countOf("one_time_tokens", "user_id = ?", first?.id)).toBe(0);
  expect((await activate(firstToken)).status).toBe(400);
  expect((await activate(await letterToken(one.email))).status).toBe(200);
  expect((await login(one.email)).status).toBe(401);
  expect((await login(one.email, "another password")).status).toBe(200);
});

test("of simultaneous sign-ups with one e-mail one is made (R28)", async () => {
  const one = form();
  const answers = await Promise.all([1, 2, 3].map((n) => signUp({ ...one, name: `Ada ${n}` })));
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
  expect(await countOf("users", "email = ?", one.email)).toBe(1);
  expect(await lettersTo(one.email)).toHaveLength(1);
});

test("activation logs in, makes the account usable and gives it a team (R31, R32, R41, R42)", async () => {
  const one = form({ name: "Zoë Ünal" });
  await signUp(one);
  const answer = await activate(await letterToken(one.email));
  expect(answer).toMatchObject({
    status: 200,
    body: { email: one.email, name: "Zoë Ünal", role: "owner", is_admin: false },
  });
  const { user_id: userId, team_id: teamId } = answer.body;
  expect(await rowOf("users", userId)).toMatchObject({ status: "active" });
  expect(await rowOf("teams", teamId)).toMatchObject({ name: "Zoe Unal's Team", deleted_at: null });
  expect(await rowOf("memberships", teamId, "team_id")).toMatchObject({
    user_id: userId,
    role: "owner",
    is_default: 1,
  });
  expect(await doneTo(userId)).toEqual(["user.created", "user.activated"]);
  expect(await rowOf("audit_entries", teamId, "subject_id")).toMatchObject({ action: "team.created", team_id: teamId });
  const [sid, csrf] = answer.headers.getSetCookie();
  expect(sid).toMatch(/^wrenn_sid=[\w.-]{64}; Path=\/; Max-Age=86400; SameSite=Strict; HttpOnly$/);
  expect(csrf).toMatch(/^wrenn_csrf=[0-9a-f]{64}; Path=\/; Max-Age=86400; SameSite=Strict$/);
  expect(JSON.stringify(answer.body)).not.toContain(cookieOf(answer, "wrenn_sid"));
  expect((await login(one.email)).status).toBe(200);
});

test("an activation token works for 30 minutes (R30)", async () => {
  const [early, late] = [form(), form()];
  for (const [{ email }, one] of [
    [early, early],
    [late, late],
  ] as const) {
    await signUp(one);
    await age(email, email === early.email ? 29 * MINUTE + 30_000 : 30 * MINUTE);
  }
  expect((await activate(await letterToken(early.email))).status).toBe(200);
  const refused = await activate(await letterToken(late.email));
  expect(refused).toMatchObject({ status: 400, body: { error: { code: "invalid_token" } } });
  expect(refused.headers.getSetCookie()).toEqual([]);
});

test("an activation token works once, and one of two at the same moment wins (R33, R80)", async () => {
  const one = form();
  await signUp(one);
  const token = await letterToken(one.email);
  const answers = await Promise.all([activate(token), activate(token), activate(token)]);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400]);
  expect((await activate(token)).status).toBe(400);
  const user = await rowOf("users", one.email, "email");
  expect(await countOf("memberships", "user_id = ?", user?.id)).toBe(1);
  expect(await countOf("audit_entries", "subject_id = ? AND action = 'user.activated'", user?.id)).toBe(1);
});

test.for([[{ token: "nothing" }], [{ token: "" }], [{}], [{ token: 7 }], [{ token: "x".repeat(201) }], ["{"]])(
  "activation refuses %j (R34)",
  async ([body]) => {
    expect((await post("/v1/auth/activate", body, { "content-type": "application/json" })).status).toBe(400);
  },
);
