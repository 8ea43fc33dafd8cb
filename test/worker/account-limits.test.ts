import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Answer, call } from "#test/worker/harness";
import { newEmail, PASSWORD, post, visitor, withPassword } from "#test/worker/visitor";

// Limits refill evenly, and a slow machine must not get more than a fast one.
beforeEach(() => {
  const now = Date.now();
  vi.spyOn(Date, "now").mockReturnValue(now);
});
afterEach(() => vi.restoreAllMocks());

type Send = (n: number) => Promise<Answer>;

/** Sends until it is refused; tells how many came through. */
async function allowed(send: Send, most = 30): Promise<{ count: number; refused: Answer }> {
  for (let n = 0; n <= most; n++) {
    const answer = await send(n);
    if (answer.status === 429) return { count: n, refused: answer };
  }
  throw new Error(`more than ${most} requests came through`);
}

test.for<[path: string, body: () => unknown, quota: number]>([
  ["/v1/auth/signup", () => ({ email: "taken@example.test", password: "a good password", name: "Ada" }), 10],
  ["/v1/auth/activate", () => ({ token: "x" }), 20],
  ["/v1/me/password/reset/confirm", () => ({ token: "x", new_password: "a good password" }), 20],
  ["/v1/me/password/reset", () => ({ email: newEmail() }), 10],
])("%s takes so many requests of one address, and says when to come again (I4)", async ([path, body, quota]) => {
  const [one, other] = [visitor(), visitor()];
  const { count, refused } = await allowed(() => one.post(path, body()));
  expect(count).toBe(quota);
  expect(refused.body).toMatchObject({ error: { code: "rate_limited" } });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(refused.headers.get("ratelimit")).toMatch(/;r=0;t=\d+$/);
  const forwarded = { "x-forwarded-for": "203.0.113.77", "x-real-ip": "203.0.113.77", forwarded: "for=203.0.113.77" };
  expect((await one.post(path, body(), forwarded)).status).toBe(429);
  expect((await other.post(path, body())).status).not.toBe(429);
});

test("activation and reset tokens are guessed at from one account of tries (I4)", async () => {
  const one = visitor();
  for (let n = 0; n < 10; n++) await one.post("/v1/auth/activate", { token: "x" });
  const { count } = await allowed(() =>
    one.post("/v1/me/password/reset/confirm", { token: "x", new_password: "a good password" }),
  );
  expect(count).toBe(10);
});

test("an e-mail takes ten logins in a quarter of an hour, from wherever and however it is written (I4)", async () => {
  const p = await withPassword();
  const spelt = [p.email, p.email.toUpperCase(), ` ${p.email} `, p.email.replace("v", "V")];
  const { count } = await allowed((n) =>
    post("/v1/auth/login", { email: spelt[n % spelt.length], password: "a wrong password" }),
  );
  expect(count).toBe(10);
  expect((await post("/v1/auth/login", { email: p.email, password: PASSWORD })).status).toBe(429);
  const other = await withPassword();
  expect((await post("/v1/auth/login", { email: other.email, password: PASSWORD })).status).toBe(200);
});

test("an address takes twenty logins a minute, whoever it tries (I4)", async () => {
  const one = visitor();
  const { count } = await allowed(() => one.post("/v1/auth/login", { email: newEmail(), password: "x" }));
  expect(count).toBe(20);
});

test("an e-mail takes three resets an hour, known or not (R75, I4)", async () => {
  const p = await withPassword();
  for (const email of [p.email, newEmail()]) {
    const { count } = await allowed((n) =>
      post("/v1/me/password/reset", { email: n % 2 ? email.toUpperCase() : email }),
    );
    expect(count).toBe(3);
  }
});

test("a user takes ten changes of password in a quarter of an hour, from all sessions together (I4)", async () => {
  const p = await withPassword();
  const other = await p.login();
  const body = { current_password: "a wrong password", new_password: "another password" };
  const { count, refused } = await allowed((n) => (n % 2 ? p : other).call("POST", "/v1/me/password", body));
  expect(count).toBe(10);
  expect(refused.body).toMatchObject({ error: { code: "rate_limited" } });
  const stranger = await withPassword();
  expect((await stranger.call("POST", "/v1/me/password", body)).status).toBe(401);
});

test("a user takes thirty switches of team a minute (I4)", async () => {
  const p = await withPassword();
  const { count } = await allowed(() => p.call("POST", "/v1/auth/switch-team", { team_id: "nothing" }), 60);
  expect(count).toBe(30);
});

test("a trailing slash or another case of the path opens no second count (I4)", async () => {
  const { address } = visitor();
  const headers = { "cf-connecting-ip": address };
  for (const path of ["/v1/auth/login/", "/V1/auth/login", "/v1/auth//login"]) {
    const answer = await call("POST", path, { body: { email: newEmail(), password: "x" }, headers });
    expect(answer.status).toBe(404);
  }
});
