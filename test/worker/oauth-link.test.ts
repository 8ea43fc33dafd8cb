import { env } from "cloudflare:workers";
import { beforeAll, expect, test } from "vitest";
import { call, countOf, rowOf, tenant } from "#test/worker/harness";
import { cookiesOf, OAuthBrowser, outcomeOf, PAGE, START, somebody, useOAuthServer } from "#test/worker/oauth";
import { type Person, person } from "#test/worker/person";

beforeAll(() => useOAuthServer());

const CONNECT = "/v1/me/providers/github/connect";
const GITHUB = "/v1/me/providers/github";

/** The browser in which a person is logged in. */
const browserOf = ({ token, csrf }: Person) => new OAuthBrowser({ wrenn_sid: token, wrenn_csrf: csrf });

/** What the browser keeps on a redirect from another site: no session, whose cookies are strict (A31). */
const acrossSites = (browser: OAuthBrowser) =>
  new OAuthBrowser(Object.fromEntries([...browser.jar].filter(([name]) => name.startsWith("wrenn_oauth"))));

/** A person with a browser that is about to come back from the provider, to link it. */
async function linking(options: Parameters<typeof person>[0] = {}, octocat = somebody()) {
  const me = await person({ passwordHash: "a-password", ...options });
  const browser = browserOf(me);
  const { auth_url: authUrl } = (await browser.get(CONNECT)).body;
  const back = await browser.atProvider(authUrl, await octocat);
  return { me, octocat: await octocat, browser, back, returning: acrossSites(browser) };
}

const identitiesOf = async (userId: string) => {
  const query = env.DB.prepare("SELECT subject FROM user_providers WHERE user_id = ?").bind(userId);
  return (await query.all()).results.map(({ subject }) => subject);
};

const auditsOf = async (userId: string) => {
  const query =
    "SELECT action, actor_id, metadata FROM audit_entries WHERE subject_id = ? AND action LIKE 'user.provider%'";
  return (await env.DB.prepare(query).bind(userId).all()).results;
};

test("connecting answers where to go, and gives the browser a state and a link cookie (R95)", async () => {
  const answer = await browserOf(await person()).get(CONNECT);
  expect(answer).toMatchObject({ status: 200, body: { auth_url: expect.stringContaining("/login/oauth/authorize?") } });
  const { wrenn_oauth_state: state, wrenn_oauth_link: link } = cookiesOf(answer);
  const attributes = ["Path=/auth/oauth", "Max-Age=600", "SameSite=Lax", "HttpOnly"];
  expect(state).toMatchObject({ value: expect.stringMatching(/^v1\./), attributes });
  expect(link).toMatchObject({ value: expect.stringMatching(/^v1\./), attributes });
});

test("coming back links the provider to the account and makes no user (R84, R96, R98)", async () => {
  const { me, octocat, back, returning } = await linking();
  const users = await countOf("users", "1 = 1");
  const answer = await returning.get(back);
  expect(answer.headers.get("location")).toBe(PAGE);
  expect([...returning.jar]).toEqual([]);
  expect(await countOf("users", "1 = 1")).toBe(users);
  expect(await identitiesOf(me.userId)).toEqual([String(octocat.id)]);
  expect(await auditsOf(me.userId)).toEqual([
    { action: "user.provider_linked", actor_id: me.userId, metadata: '{"provider":"github"}' },
  ]);
  const browser = new OAuthBrowser();
  expect(outcomeOf(await browser.login(octocat))).toBeNull();
  expect(await countOf("users", "1 = 1")).toBe(users);
  expect((await browser.get("/v1/me")).body).toMatchObject({ email: me.email, providers: ["github"] });
});

test("linking the same identity again is a success and changes nothing (R97)", async () => {
  const { me, octocat, back, returning, browser } = await linking();
  expect(outcomeOf(await returning.get(back))).toBeNull();
  const { auth_url: again } = (await browser.get(CONNECT)).body;
  expect(outcomeOf(await acrossSites(browser).get(await browser.atProvider(again, octocat)))).toBeNull();
  expect(await identitiesOf(me.userId)).toEqual([String(octocat.id)]);
  expect(await auditsOf(me.userId)).toHaveLength(1);
});

test("an identity of somebody else is not linked, nor a second one of the provider (R97)", async () => {
  const first = await linking();
  expect(outcomeOf(await first.returning.get(first.back))).toBeNull();
  const thief = await linking({}, Promise.resolve(first.octocat));
  expect(outcomeOf(await thief.returning.get(thief.back))).toBe("email_taken");
  expect(await identitiesOf(thief.me.userId)).toEqual([]);
  const { auth_url: again } = (await first.browser.get(CONNECT)).body;
  const back = await first.browser.atProvider(again, await somebody());
  expect(outcomeOf(await acrossSites(first.browser).get(back))).toBe("access_denied");
  expect(await identitiesOf(first.me.userId)).toEqual([String(first.octocat.id)]);
  expect(await auditsOf(first.me.userId)).toHaveLength(1);
});

test("a link does not outlive the session that began it, nor its user's standing (R93, T7)", async () => {
  const out = await linking();
  await out.me.ctx.principals.principal(out.me.userId).revokeAll();
  expect(outcomeOf(await out.returning.get(out.back))).toBe("access_denied");
  const disabled = await linking();
  await env.DB.prepare("UPDATE users SET status = 'disabled' WHERE id = ?").bind(disabled.me.userId).run();
  expect(outcomeOf(await disabled.returning.get(disabled.back))).toBe("access_denied");
  for (const { me } of [out, disabled]) expect(await identitiesOf(me.userId)).toEqual([]);
});

test("a link without its cookie is no login, and a cookie of another link chooses no account (R87, T9)", async () => {
  const [bare, mixed, other] = [await linking(), await linking(), await linking()];
  bare.returning.jar.delete("wrenn_oauth_link");
  mixed.returning.jar.set("wrenn_oauth_link", other.returning.jar.get("wrenn_oauth_link") ?? "");
  for (const { me, returning, back, octocat } of [bare, mixed]) {
    expect(outcomeOf(await returning.get(back))).toBe("invalid_state");
    expect(await identitiesOf(me.userId)).toEqual([]);
    expect(await rowOf("user_providers", String(octocat.id), "subject")).toBeNull();
  }
});

test("a login after a link that was given up is a login (R91)", async () => {
  const { me, browser } = await linking();
  const octocat = await somebody();
  expect(outcomeOf(await browser.login(octocat, START))).toBeNull();
  expect(await identitiesOf(me.userId)).toEqual([]);
  expect(await rowOf("user_providers", String(octocat.id), "subject")).not.toBeNull();
});

test("disconnecting takes the provider away, and its login with it (R99)", async () => {
  const { me, octocat, back, returning } = await linking();
  await returning.get(back);
  expect((await me.call("DELETE", GITHUB)).status).toBe(204);
  expect((await me.call("GET", "/v1/me")).body.providers).toEqual([]);
  expect(await identitiesOf(me.userId)).toEqual([]);
  expect(await auditsOf(me.userId)).toHaveLength(2);
  expect(outcomeOf(await new OAuthBrowser().login(octocat, `${START}?intent=login`))).toBe("access_denied");
});

test("the last way to log in stays (R100)", async () => {
  const browser = new OAuthBrowser();
  const octocat = await somebody();
  await browser.login(octocat);
  const { user_id: userId } = (await rowOf("user_providers", String(octocat.id), "subject")) ?? {};
  const headers = {
    cookie: [...browser.jar].map(([name, value]) => `${name}=${value}`).join("; "),
    "x-csrf-token": browser.jar.get("wrenn_csrf") ?? "",
  };
  const answer = await call("DELETE", GITHUB, { headers });
  expect(answer).toMatchObject({ status: 400, body: { error: { code: "last_login_method" } } });
  expect(await identitiesOf(String(userId))).toHaveLength(1);
  expect(await auditsOf(String(userId))).toEqual([]);
});

test("a provider that is not connected, or unknown, cannot be disconnected (R101)", async () => {
  const { call: send } = await person({ passwordHash: "a-password" });
  for (const name of ["github", "gitlab", "%27"]) {
    const answer = await send("DELETE", `/v1/me/providers/${name}`);
    expect(answer).toMatchObject({ status: 404, body: { error: { code: "provider_not_found" } } });
  }
});

test("of disconnections at once one takes the provider, and one is noted (R99, T12)", async () => {
  const { me, back, returning } = await linking();
  await returning.get(back);
  const answers = await Promise.all([1, 2, 3, 4].map(() => me.call("DELETE", GITHUB)));
  expect(answers.map(({ status }) => status).sort()).toEqual([204, 404, 404, 404]);
  expect(await auditsOf(me.userId)).toHaveLength(2);
});

test("disconnecting needs the anti-forgery header and our origin, and both need a session (T2, T8, R4, R12)", async () => {
  const { me, back, returning } = await linking();
  await returning.get(back);
  const forged = { status: 403, body: { error: { code: "csrf_failed" } } };
  const { cookie } = me;
  expect(await call("DELETE", GITHUB, { headers: { cookie } })).toMatchObject(forged);
  expect(await me.call("DELETE", GITHUB, undefined, { "x-csrf-token": "0".repeat(64) })).toMatchObject(forged);
  expect(await me.call("DELETE", GITHUB, undefined, { origin: "https://evil.example" })).toMatchObject(forged);
  expect(await identitiesOf(me.userId)).toHaveLength(1);
  const { key } = await tenant();
  for (const headers of [{}, { "x-api-key": key }, { cookie: "wrenn_sid=x" }] as Record<string, string>[]) {
    expect((await call("DELETE", GITHUB, { headers })).status).toBe(401);
    expect((await call("GET", CONNECT, { headers })).status).toBe(401);
  }
});
