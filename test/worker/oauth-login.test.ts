import { env } from "cloudflare:workers";
import { beforeAll, expect, test } from "vitest";
import { call, countOf, rowOf } from "#test/worker/harness";
import {
  CALLBACK,
  cookiesOf,
  newAddress,
  OAuthBrowser,
  outcomeOf,
  PAGE,
  START,
  somebody,
  useOAuthServer,
} from "#test/worker/oauth";
import { person } from "#test/worker/person";

beforeAll(() => useOAuthServer());

const userOf = async (subject: number) => {
  const identity = await rowOf("user_providers", String(subject), "subject");
  return identity && (await rowOf("users", identity.user_id as string));
};
const set = (sql: string, ...values: unknown[]) =>
  env.DB.prepare(sql)
    .bind(...values)
    .run();

test("the very first account that becomes active is the platform's administrator, the next is not (R35)", async () => {
  const [first, second] = [await somebody(), await somebody()];
  expect(outcomeOf(await new OAuthBrowser().login(first))).toBeNull();
  expect(outcomeOf(await new OAuthBrowser().login(second))).toBeNull();
  expect(await userOf(first.id)).toMatchObject({ is_platform_admin: 1 });
  expect(await userOf(second.id)).toMatchObject({ is_platform_admin: 0 });
});

test("the way to the provider is a redirect with state and PKCE, and a short-lived cookie (R81, T9)", async () => {
  const answer = await new OAuthBrowser().get(START);
  expect(answer.status).toBe(302);
  const url = new URL(answer.headers.get("location") ?? "");
  expect(Object.fromEntries(url.searchParams)).toEqual({
    response_type: "code",
    client_id: "longshore-client",
    redirect_uri: "http://longshore.test/auth/oauth/github/callback",
    scope: "read:user user:email",
    state: expect.stringMatching(/^[\w-]{43}$/),
    code_challenge: expect.stringMatching(/^[\w-]{43}$/),
    code_challenge_method: "S256",
  });
  const { wrenn_oauth_state: cookie } = cookiesOf(answer);
  expect(cookie?.attributes).toEqual(["Path=/auth/oauth", "Max-Age=600", "SameSite=Lax", "HttpOnly"]);
  expect(cookie?.value).not.toContain(url.searchParams.get("state"));
  const secure = await call("GET", START, { origin: "https://longshore.test" });
  expect(cookiesOf(secure).wrenn_oauth_state?.attributes).toContain("Secure");
});

test("a login ends at the web app with both cookies and nothing in the address (R62, R84, R91)", async () => {
  const octocat = await somebody({ name: "  Mona\tLisa " });
  const browser = new OAuthBrowser();
  const answer = await browser.login(octocat);
  expect(answer.headers.get("location")).toBe(PAGE);
  const { wrenn_sid: sid, wrenn_csrf: csrf, wrenn_oauth_state: state } = cookiesOf(answer);
  expect(sid?.attributes).toEqual(["Path=/", "Max-Age=86400", "SameSite=Strict", "HttpOnly"]);
  expect(csrf?.attributes).toEqual(["Path=/", "Max-Age=86400", "SameSite=Strict"]);
  expect(state).toMatchObject({ value: "", attributes: expect.arrayContaining(["Max-Age=0"]) });
  const user = await userOf(octocat.id);
  expect(user).toMatchObject({
    name: "Mona Lisa",
    email: octocat.emails[0]?.email,
    status: "active",
    password_hash: null,
  });
  const membership = await rowOf("memberships", String(user?.id), "user_id");
  expect(membership).toMatchObject({ role: "owner", is_default: 1 });
  expect(await rowOf("teams", String(membership?.team_id))).toMatchObject({ name: "Mona Lisa's Team" });
  expect((await browser.get("/v1/me")).body).toMatchObject({ has_password: false, providers: ["github"] });
});

test("a known identity logs in to the same user, whatever its e-mail is by now (R91)", async () => {
  const octocat = await somebody();
  await new OAuthBrowser().login(octocat);
  const before = await userOf(octocat.id);
  await somebody({ ...octocat, name: "Other", emails: [] });
  expect(outcomeOf(await new OAuthBrowser().login(octocat))).toBeNull();
  expect(await userOf(octocat.id)).toEqual(before);
  expect(await countOf("user_providers", "subject = ?", String(octocat.id))).toBe(1);
});

test("two browsers that bring the same new identity at once make one account (R91)", async () => {
  const octocat = await somebody();
  const browsers = [new OAuthBrowser(), new OAuthBrowser(), new OAuthBrowser()];
  const answers = await Promise.all(browsers.map((browser) => browser.login(octocat)));
  expect(answers.map(outcomeOf)).toEqual([null, null, null]);
  expect(await countOf("users", "email = ?", octocat.emails[0]?.email)).toBe(1);
});

test.for(["active", "disabled", "deleted"])("an e-mail of an account that is %s is taken (R90)", async (status) => {
  const { email, userId } = await person();
  await set("UPDATE users SET status = ? WHERE id = ?", status, userId);
  const octocat = await somebody({ emails: [{ email: email.toUpperCase(), primary: true, verified: true }] });
  expect(outcomeOf(await new OAuthBrowser().login(octocat))).toBe("email_taken");
  expect(await userOf(octocat.id)).toBeNull();
  expect(await countOf("users", "email = ?", email)).toBe(1);
});

test("a sign-up that was never activated gives way, and its password and letter with it (R90)", async () => {
  const squatter = await person({ passwordHash: "of-a-squatter" });
  await set("UPDATE users SET status = 'inactive' WHERE id = ?", squatter.userId);
  const token = ["hash-of-a-letter", "activation", squatter.userId, 0, Date.now() + 60_000];
  await set(
    "INSERT INTO one_time_tokens (hash, kind, user_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
    ...token,
  );
  const octocat = await somebody({ emails: [{ email: squatter.email, primary: true, verified: true }] });
  expect(outcomeOf(await new OAuthBrowser().login(octocat))).toBeNull();
  expect(await rowOf("users", squatter.userId)).toBeNull();
  expect(await rowOf("one_time_tokens", "hash-of-a-letter", "hash")).toBeNull();
  expect(await userOf(octocat.id)).toMatchObject({ email: squatter.email, password_hash: null, status: "active" });
});

test.for([
  ["that is not verified", [{ email: "a@example.test", primary: true, verified: false }]],
  ["that is not the primary one", [{ email: "b@example.test", primary: false, verified: true }]],
  ["that is none", [{ email: "not an e-mail", primary: true, verified: true }]],
  ["with a line break", [{ email: "c@example.test\r\nBcc: d@example.test", primary: true, verified: true }]],
] as const)("an e-mail %s makes no account (R94)", async ([, emails]) => {
  const octocat = await somebody({ emails: [...emails] });
  expect(outcomeOf(await new OAuthBrowser().login(octocat))).toBe("access_denied");
  expect(await userOf(octocat.id)).toBeNull();
});

test.for(["disabled", "deleted"])("the identity of an account that is %s gets no session (R93)", async (status) => {
  const octocat = await somebody();
  await new OAuthBrowser().login(octocat);
  await set("UPDATE users SET status = ? WHERE email = ?", status, octocat.emails[0]?.email);
  const browser = new OAuthBrowser();
  expect(outcomeOf(await browser.login(octocat))).toBe("access_denied");
  expect([...browser.jar]).toEqual([]);
});

test("with intent=login a person without an account is turned away, and one with an account is not (A29)", async () => {
  const octocat = await somebody();
  const login = () => new OAuthBrowser().login(octocat, `${START}?intent=login`);
  expect(outcomeOf(await login())).toBe("access_denied");
  expect(await userOf(octocat.id)).toBeNull();
  await new OAuthBrowser().login(octocat);
  expect(outcomeOf(await login())).toBeNull();
});

test("a user who is in no team any more gets a new one at login", async () => {
  const octocat = await somebody();
  await new OAuthBrowser().login(octocat);
  const user = await userOf(octocat.id);
  await set("DELETE FROM memberships WHERE user_id = ?", user?.id);
  expect(outcomeOf(await new OAuthBrowser().login(octocat))).toBeNull();
  expect(await rowOf("memberships", String(user?.id), "user_id")).toMatchObject({ role: "owner", is_default: 1 });
});

test("an unknown provider, or one without a client here, is not found (R82, R83)", async () => {
  const { call: send } = await person();
  const missing = { status: 404, body: { error: { code: "provider_not_found" } } };
  for (const name of ["gitlab", "GitHub", "github.com", "__proto__"]) {
    expect(await send("GET", `/auth/oauth/${name}`)).toMatchObject(missing);
    expect(await send("GET", `/auth/oauth/${name}/callback?code=a&state=b`)).toMatchObject(missing);
    expect(await send("GET", `/v1/me/providers/${name}/connect`)).toMatchObject(missing);
  }
  useOAuthServer({ OAUTH_GITHUB_CLIENT_SECRET: "" });
  try {
    expect(await send("GET", START)).toMatchObject(missing);
    expect(await send("GET", "/v1/me/providers/github/connect")).toMatchObject(missing);
    expect(outcomeOf(await call("GET", `${CALLBACK}?code=a&state=b`))).toBe("invalid_state");
  } finally {
    useOAuthServer();
  }
});

test("too many logins from one address have to wait", async () => {
  const headers = { "cf-connecting-ip": newAddress() };
  const statuses: number[] = [];
  for (let n = 0; n <= 60; n++) statuses.push((await call("GET", `${CALLBACK}?state=x`, { headers })).status);
  expect(statuses).toEqual([...Array(60).fill(302), 429]);
});
