import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { LOGIN_ERRORS } from "#domain/oauth/values";
import { gitHub } from "#platform/oauth/github";
import type { Failure } from "#test/node/oauth-values";
import { call, countOf } from "#test/worker/harness";
import {
  CALLBACK,
  OAuthBrowser,
  oauthSettings,
  outcomeOf,
  PAGE,
  START,
  somebody,
  tokensOfProvider,
  useOAuthServer,
} from "#test/worker/oauth";

beforeAll(() => useOAuthServer({ LOG_LEVEL: "debug" }));

/** Every line that a test logs. */
let lines: string[];
beforeEach(() => {
  lines = [];
  for (const level of ["debug", "info", "warn", "error", "log"] as const) {
    vi.spyOn(console, level).mockImplementation((...args) => void lines.push(args.map(String).join(" ")));
  }
});
afterEach(() => vi.restoreAllMocks());

const noSession = ({ jar }: OAuthBrowser) => expect([...jar.keys()]).not.toContain("wrenn_sid");

/** A browser on its way back from the provider, and what it brings. */
async function returning() {
  const [browser, octocat] = [new OAuthBrowser(), await somebody()];
  const back = await browser.atProvider(await browser.leave(), octocat);
  return { browser, octocat, back };
}

test("a person who refuses at the provider is told so (R85, R86)", async () => {
  const [browser, octocat] = [new OAuthBrowser(), await somebody()];
  const answer = await browser.get(await browser.atProvider(await browser.leave(), octocat, true));
  expect(answer.headers.get("location")).toBe(`${PAGE}?error=access_denied`);
  noSession(browser);
  expect(outcomeOf(await new OAuthBrowser().get(`${CALLBACK}?error=redirect_uri_mismatch`))).toBe("access_denied");
});

test("a state without its cookie, of another browser, or changed is refused (R87, T9)", async () => {
  const { browser, back } = await returning();
  const stranger = new OAuthBrowser();
  expect(outcomeOf(await stranger.get(back))).toBe("invalid_state");
  await stranger.leave();
  expect(outcomeOf(await stranger.get(back))).toBe("invalid_state");
  noSession(stranger);
  const [, code] = /code=(\w+)/.exec(back) ?? [];
  for (const query of [`code=${code}`, `code=${code}&state=`, `code=${code}&state=${"x".repeat(43)}`, `state=&code=`]) {
    const copy = new OAuthBrowser(Object.fromEntries(browser.jar));
    expect(outcomeOf(await copy.get(`${CALLBACK}?${query}`)), query).toBe("invalid_state");
  }
  expect(outcomeOf(await browser.get(back))).toBeNull();
});

test("a cookie that was forged, changed, doubled or sealed for something else is refused (R87)", async () => {
  const { browser, back } = await returning();
  const sealed = browser.jar.get("wrenn_oauth_state") ?? "";
  const [link] = await Promise.all([sealed.replace(/.$/, (last) => (last === "A" ? "B" : "A"))]);
  for (const value of ["", "x", "v1.a.b", link, `${sealed}; wrenn_oauth_state=${sealed}`, "x".repeat(8192)]) {
    const forged = new OAuthBrowser({ wrenn_oauth_state: value });
    expect(outcomeOf(await forged.get(back)), value.slice(0, 20)).toBe("invalid_state");
    noSession(forged);
  }
});

test("a callback without a code says so, and has used its state up (R88)", async () => {
  const { browser, back } = await returning();
  const copy = new OAuthBrowser(Object.fromEntries(browser.jar));
  expect(outcomeOf(await browser.get(back.replace(/code=\w+/, "")))).toBe("missing_code");
  expect(outcomeOf(await copy.get(back))).toBe("invalid_state");
});

test("a state works once, also for who kept its cookie (R92, T9)", async () => {
  const { browser, back } = await returning();
  const copy = new OAuthBrowser(Object.fromEntries(browser.jar));
  expect(outcomeOf(await browser.get(back))).toBeNull();
  expect(browser.jar.has("wrenn_oauth_state")).toBe(false);
  expect(outcomeOf(await browser.get(back))).toBe("invalid_state");
  expect(outcomeOf(await copy.get(back))).toBe("invalid_state");
  noSession(copy);
});

test("of callbacks that come at once with one state, one wins (R92)", async () => {
  const { browser, back, octocat } = await returning();
  const copies = Array.from({ length: 5 }, () => new OAuthBrowser(Object.fromEntries(browser.jar)));
  const outcomes = (await Promise.all(copies.map((copy) => copy.get(back)))).map(outcomeOf);
  expect(outcomes.filter((outcome) => outcome === null)).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome === "invalid_state")).toHaveLength(4);
  expect(await countOf("users", "email = ?", octocat.emails[0]?.email)).toBe(1);
});

test("a state is too old after ten minutes (R81)", async () => {
  const { browser, back } = await returning();
  await env.DB.prepare("UPDATE one_time_tokens SET expires_at = ?").bind(Date.now()).run();
  expect(outcomeOf(await browser.get(back))).toBe("invalid_state");
});

test("a code that was used, of another browser, or invented is not exchanged (R89, T9)", async () => {
  const { browser, back } = await returning();
  const [, used] = /code=(\w+)/.exec(back) ?? [];
  expect(outcomeOf(await browser.get(back))).toBeNull();
  const [, others] = /code=(\w+)/.exec((await returning()).back) ?? [];
  for (const code of [used, others, "invented", "%00", "a&redirect_uri=https://evil.example"]) {
    const other = await returning();
    const outcome = outcomeOf(await other.browser.get(other.back.replace(/code=\w+/, `code=${code}`)));
    expect(outcome, code).toBe("exchange_failed");
    noSession(other.browser);
  }
});

const FAILURES = (["token", "user", "emails"] as const).flatMap((at) =>
  (["500", "text", "shape", "huge", "redirect"] as const).map((how): Failure => ({ at, how })),
);

test.for(FAILURES)("when $at answers with $how the exchange has failed (R89)", async (fail) => {
  const [browser, octocat] = [new OAuthBrowser(), await somebody({ fail })];
  const answer = await browser.login(octocat);
  expect(outcomeOf(answer)).toBe("exchange_failed");
  expect(lines.join()).toContain("a login at a provider was refused");
  expect(answer.text + [...answer.headers].join() + lines.join()).not.toContain("canary");
  noSession(browser);
});

test.for(["token", "user"] as const)("a provider whose %s endpoint stays silent is given up on (R89)", async (at) => {
  const [browser, octocat] = [new OAuthBrowser(), await somebody({ fail: { at, how: "silence" } })];
  const provider = gitHub(oauthSettings(), 200);
  const redirectUri = `http://longshore.test${CALLBACK}`;
  const { authUrl, state, verifier } = (await provider?.authorize(redirectUri)) ?? {
    authUrl: "",
    state: "",
    verifier: "",
  };
  const [, code = ""] = /code=(\w+)/.exec(await browser.atProvider(authUrl, octocat)) ?? [];
  expect(await provider?.identify({ code, state, verifier, redirectUri })).toEqual({
    ok: false,
    reason: "TimeoutError",
  });
});

test("a failure of our own ends at the page too, and is told to the log alone (R85)", async () => {
  const { browser, back } = await returning();
  vi.spyOn(env.DB, "batch").mockRejectedValue(new Error("the disk is on fire"));
  const answer = await browser.get(back);
  expect(outcomeOf(answer)).toBe("internal_error");
  expect(answer.text + [...answer.headers].join()).not.toContain("fire");
  expect(lines.join()).toContain("the disk is on fire");
  noSession(browser);
});

test("the provider gets its secret and the tokens over https alone, except on this machine", async () => {
  const plain = gitHub({ ...oauthSettings(), OAUTH_GITHUB_TOKEN_URL: "http://github.example/token" });
  const answer = { code: "a", state: "b", verifier: "c".repeat(43), redirectUri: "https://longshore.test" };
  expect(await plain?.identify(answer)).toEqual({ ok: false, reason: "OAUTH_HTTP_REQUEST_FORBIDDEN" });
});

const EVIL = ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "%0d%0aX-Evil:%201"];

test.for(EVIL)("nothing in a request chooses where the browser goes: %s (T9)", async (evil) => {
  const browser = new OAuthBrowser();
  const octocat = await somebody();
  const names = ["return_to", "redirect", "redirect_uri", "next", "url", "callback", "state", "intent"];
  const query = names.map((name) => `${name}=${evil}`).join("&");
  const authUrl = await browser.leave(`${START}?${query}`);
  expect(new URL(authUrl).searchParams.get("redirect_uri")).toBe(`http://longshore.test${CALLBACK}`);
  const back = await browser.atProvider(authUrl, octocat);
  const answer = await browser.get(`${back}&${query.replace(/&state=[^&]*/, "")}`);
  expect(answer.headers.get("location")).toBe(PAGE);
  const failed = await new OAuthBrowser().get(`${CALLBACK}?${query}&error=${evil}`);
  expect(failed.headers.get("location")).toBe(`${PAGE}?error=access_denied`);
  expect([...failed.headers.keys()]).not.toContain("x-evil");
});

test("the web app's base is the operator's, with a path and without a slash at its end (R84)", async () => {
  useOAuthServer({ OAUTH_REDIRECT_URL: "https://app.example/console/" });
  try {
    const done = await new OAuthBrowser().login(await somebody());
    expect(done.headers.get("location")).toBe("https://app.example/console/auth/github/callback");
  } finally {
    useOAuthServer({ OAUTH_REDIRECT_URL: "" });
  }
});

test("without a web app the deployment itself says how a login ended (R84, R85)", async () => {
  const shown = async (query: string) => (await call("GET", `/auth/github/callback${query}`)).text;
  expect(await shown("")).toContain("This browser is logged in");
  for (const error of LOGIN_ERRORS) expect(await shown(`?error=${error}`), error).toContain("That did not work");
  expect(await shown("?error=email_taken")).toContain("another account");
  const odd = await shown("?error=%3Cscript%3E__proto__");
  expect(odd).toContain("Something went wrong");
  expect(odd).not.toContain("script");
});

test("the provider's tokens, codes and states are in no row and no log line (T10)", async () => {
  const { browser, back } = await returning();
  const sealed = browser.jar.get("wrenn_oauth_state") ?? "";
  await browser.get(back);
  const secrets = [...new URLSearchParams(back.split("?")[1]).values(), sealed, ...(await tokensOfProvider())];
  expect(secrets.length).toBeGreaterThan(3);
  const tables = ["users", "user_providers", "one_time_tokens", "audit_entries", "memberships", "teams"];
  const rows = await Promise.all(tables.map((table) => env.DB.prepare(`SELECT * FROM ${table}`).all()));
  const kept = JSON.stringify(rows.map(({ results }) => results)) + lines.join("\n");
  expect(kept).toContain('"path":"/auth/oauth/github/callback"');
  for (const secret of secrets) expect(kept).not.toContain(secret);
});
