import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { CLIENT } from "#test/node/oauth-values";
import { eventOf, happen, settled, webhook } from "#test/worker/channels";
import { eventually } from "#test/worker/control";
import { dumpD1, dumpObjects } from "#test/worker/dump";
import { type Answer, call } from "#test/worker/harness";
import { OAuthBrowser, somebody, tokensOfProvider, useOAuthServer } from "#test/worker/oauth";
import { browser, type Person, person } from "#test/worker/person";
import { inbox } from "#test/worker/receivers";
import { nextAddress } from "#test/worker/seed";
import { cookieOf, letterToken, newEmail } from "#test/worker/visitor";
import { surfaces } from "../../src/surface-list.ts";

vi.setConfig({ testTimeout: 60_000 });

/** Secrets by what they are. */
const canaries = new Map<string, string>();
/** What was answered and logged since the start; an answer whose purpose is to show a secret is left out. */
const answers: string[] = [];
const lines: string[] = [];
const LEVELS = ["debug", "info", "warn", "error", "log"] as const;
const level = Reflect.get(env, "LOG_LEVEL");

beforeAll(() => {
  useOAuthServer();
  Reflect.set(env, "LOG_LEVEL", "debug");
  for (const one of LEVELS) vi.spyOn(console, one).mockImplementation((...args) => void lines.push(text(args)));
});

afterAll(() => {
  Reflect.set(env, "LOG_LEVEL", level);
  vi.restoreAllMocks();
});

/** Anything as text, in which a secret looks as it is: bytes are read as UTF-8, and errors with their stacks. */
function text(value: unknown): string {
  return JSON.stringify(value, (_, one) => {
    if (one instanceof ArrayBuffer || ArrayBuffer.isView(one)) return new TextDecoder().decode(one as Uint8Array);
    if (one instanceof Error) return `${one.stack} ${text(one.cause ?? null)}`;
    return one instanceof Map ? [...one] : one;
  });
}

/** Where a secret is, as it is or in one of the ways it may be written in an address or a body. */
function whereIs(secrets: ReadonlyMap<string, string>, places: Iterable<readonly [string, unknown]>): string[] {
  const found: string[] = [];
  for (const [place, content] of places) {
    const written = text(content);
    for (const [what, secret] of secrets) {
      const forms = [secret, encodeURIComponent(secret), btoa(secret).replace(/=+$/, "")];
      if (forms.some((form) => written.includes(form))) found.push(`${what} in ${place}`);
    }
  }
  return found;
}

function plant(what: string, secret: unknown): string {
  expect(secret, what).toEqual(expect.stringMatching(/^.{8,}$/));
  canaries.set(what, String(secret));
  return String(secret);
}

/** Keeps the answer to be looked through. */
function keep(answer: Answer, status?: number): Answer {
  if (status) expect(answer.status, answer.text).toBe(status);
  answers.push(`${text([...answer.headers])} ${answer.text}`);
  return answer;
}

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  call("POST", path, { body, headers: { "cf-connecting-ip": nextAddress(), ...headers } });

/** The session that an answer brings. */
async function signedIn(answer: Answer, name: string) {
  expect(answer.status, answer.text).toBe(200);
  const p = await browser(plant(`${name} session`, cookieOf(answer, "wrenn_sid")));
  expect(plant(`${name} csrf`, cookieOf(answer, "wrenn_csrf"))).toBe(p.csrf);
  answers.push(answer.text);
  return p;
}

async function account(): Promise<void> {
  const email = newEmail();
  const first = plant("password", "canary-password-Zq81");
  const second = plant("new password", "canary-password-Yw92");
  const third = plant("reset password", "canary-password-Xv73");
  const wrong = plant("wrong password", "canary-password-Ku64");
  keep(await post("/v1/auth/signup", { email, password: first, name: "Canary" }), 201);
  keep(await post("/v1/auth/signup", { email, password: first }));
  const activation = plant("activation token", await letterToken(email));
  let me = await signedIn(await post("/v1/auth/activate", { token: activation }), "first");
  keep(await post("/v1/auth/activate", { token: activation }), 400);
  keep(await post("/v1/auth/login", { email, password: wrong }), 401);
  const body = { current_password: first, new_password: second, confirm_password: second };
  keep(await me.call("POST", "/v1/me/password", { ...body, current_password: wrong }), 401);
  keep(await me.call("POST", "/v1/me/password", body), 204);
  keep(await me.call("GET", "/v1/me"), 401);
  keep(await post("/v1/me/password/reset", { email }));
  const reset = plant("reset token", await letterToken(email, "password_reset"));
  keep(await post("/v1/me/password/reset/confirm", { token: reset, new_password: third }), 204);
  keep(await post("/v1/me/password/reset/confirm", { token: reset, new_password: third }), 400);
  me = await signedIn(await post("/v1/auth/login", { email, password: third }), "login");
  const { team_id } = keep(await me.call("GET", "/v1/me")).body;
  const moved = await me.call("POST", "/v1/auth/switch-team", { team_id });
  if (moved.status === 200) me = await signedIn(moved, "switched");
  for (const path of ["/v1/me", "/v1/me/sessions", "/v1/audit-logs", "/v1/teams"]) keep(await me.call("GET", path));
  keep(await me.call("POST", "/v1/auth/logout"), 204);
}

async function apiKeys(owner: Person): Promise<void> {
  const create = () => owner.call("POST", "/v1/api-keys", { name: "canary" }, { "idempotency-key": "api-key" });
  const [made, again] = [await create(), await create()];
  expect(again).toMatchObject({ status: 201, text: made.text });
  const key = made.body.key as string;
  plant("API key", key.slice(made.body.key_prefix.length));
  for (const headers of [{ "x-api-key": key }, { authorization: `Bearer ${key}` }, { "x-api-key": `${key}0` }]) {
    keep(await call("GET", "/api/v1/workspaces", { headers: headers as Record<string, string> }));
  }
  keep(await owner.call("GET", "/v1/api-keys"), 200);
}

async function hosts(owner: Person): Promise<void> {
  const byoc = { type: "byoc", team_id: owner.teamId };
  const create = () => owner.call("POST", "/v1/hosts", byoc, { "idempotency-key": "host" });
  const [made, again] = [await create(), await create()];
  expect(again).toMatchObject({ status: 201, text: made.text });
  const id = made.body.host.id as string;
  plant("first registration token", made.body.registration_token);
  const other = await owner.call("POST", `/v1/hosts/${id}/token`);
  const token = plant("registration token", other.body.registration_token);
  const registered = await post("/v1/hosts/register", { token, address: "agent.example.com:443" });
  expect(registered.status).toBe(201);
  plant("host token", registered.body.token.split(".")[2]);
  const refreshToken = plant("refresh token", registered.body.refresh_token);
  keep(await post("/v1/hosts/register", { token, address: "agent.example.com:443" }), 401);
  const refreshed = await post("/v1/hosts/auth/refresh", { refresh_token: refreshToken });
  expect(refreshed.status).toBe(200);
  plant("second host token", refreshed.body.token.split(".")[2]);
  plant("second refresh token", refreshed.body.refresh_token);
  const headers = { "x-host-token": refreshed.body.token as string };
  keep(await post(`/v1/hosts/${id}/heartbeat`, undefined, headers), 204);
  keep(await post("/v1/hosts/auth/refresh", { refresh_token: refreshToken }));
  keep(await post(`/v1/hosts/${id}/heartbeat`, undefined, { "x-host-token": refreshToken }), 401);
  for (const path of ["", `/${id}`, `/${id}/delete-preview`]) keep(await owner.call("GET", `/v1/hosts${path}`), 200);
}

async function channels(owner: Person): Promise<void> {
  const box = inbox(plant("webhook address", `canary-inbox-${crypto.randomUUID()}`));
  const { id, secret } = await webhook(owner, ["capsule.create"], box);
  plant("webhook secret made", secret);
  const config = { url: box.url, secret: plant("webhook secret given", "canary-webhook-secret-Rt55-and-more") };
  const given = { name: "given", provider: "webhook", config, events: ["capsule.create"] };
  const create = () => owner.call("POST", "/v1/channels", given, { "idempotency-key": "channel" });
  const shown = { ...given, name: "made", config: { url: box.url } };
  const make = () => owner.call("POST", "/v1/channels", shown, { "idempotency-key": "made" });
  keep(await create(), 201);
  keep(await create(), 201);
  const [made, again] = [await make(), await make()];
  expect(again).toMatchObject({ status: 201, text: made.text });
  plant("webhook secret repeated", made.body.secret);
  const bot = { bot_token: plant("bot token", `123456789:${"Canary-bot_token".repeat(3)}`.slice(0, 45)), chat_id: "1" };
  const telegram = { name: "bot", provider: "telegram", config: bot, events: ["capsule.create"] };
  keep(await owner.call("POST", "/v1/channels", telegram), 201);
  keep(await owner.call("POST", "/v1/channels/test", { provider: "telegram", config: bot }));
  keep(await owner.call("POST", "/v1/channels/test", { provider: "webhook", config }), 200);
  const hook = `https://hooks.slack.com/services/T000/B000/${plant("hook address", "canaryHookPathPq44")}`;
  const slack = { provider: "slack", config: { webhook_url: hook } };
  keep(await owner.call("POST", "/v1/channels/test", slack));
  keep(await owner.call("POST", "/v1/channels", { ...slack, name: "slack", events: ["capsule.create"] }), 201);
  const rotated = await owner.call("PUT", `/v1/channels/${id}/config`, { config: { url: box.url } });
  plant("webhook secret rotated", rotated.body.secret);
  await happen(owner, eventOf(owner.teamId));
  await settled(owner, id, { state: "delivered" });
  const list = keep(await owner.call("GET", "/v1/channels"), 200).body as { id: string }[];
  for (const channel of list) {
    // Each was tried, and those that nobody answers have a reason.
    await eventually(async () => {
      const log = keep(await owner.call("GET", `/v1/channels/${channel.id}/deliveries`), 200);
      expect(log.body.deliveries[0].attempts).toBeGreaterThan(0);
    });
  }
}

async function oauth(): Promise<void> {
  plant("OAuth client secret", CLIENT.secret);
  const [me, octocat] = [new OAuthBrowser(), await somebody()];
  const authUrl = await me.leave();
  plant("OAuth state", new URL(authUrl).searchParams.get("state"));
  plant("OAuth state cookie", [...me.jar.entries()].find(([name]) => name.startsWith("wrenn_oauth"))?.[1]);
  const back = await me.atProvider(authUrl, octocat);
  plant("OAuth code", new URL(back, "http://longshore.test").searchParams.get("code"));
  expect((await me.get(back)).status).toBe(302);
  plant("OAuth session", me.jar.get("wrenn_sid"));
  for (const [n, token] of (await tokensOfProvider()).entries()) plant(`provider token ${n}`, token);
  keep(await new OAuthBrowser().get(back));
  keep(await me.get("/v1/me"), 200);
}

test("no secret is in a row, an object, a log line or an answer after the one that shows it (T10)", async () => {
  const owner = await person({ platformAdmin: true });
  await env.DB.prepare("UPDATE teams SET is_byoc = 1 WHERE id = ?").bind(owner.teamId).run();
  await account();
  await apiKeys(owner);
  await hosts(owner);
  await channels(owner);
  await oauth();
  for (const path of ["audit-logs", "admin/audit-logs", "admin/users", "admin/teams", "me/sessions", "hosts"]) {
    keep(await owner.call("GET", `/v1/${path}`), 200);
  }
  // Whatever it is, it is shown by nobody who is sent it as something else.
  for (const secret of canaries.values()) {
    for (const name of ["x-api-key", "x-host-token", "x-setup-token", "idempotency-key"]) {
      keep(await call("GET", "/v1/me", { headers: { [name]: secret } }), 401);
    }
    keep(await post("/v1/auth/activate", { token: secret }), 400);
    keep(await call("GET", `/auth/oauth/github/callback?code=${encodeURIComponent(secret)}&state=x`), 302);
  }
  const objects = await dumpObjects();
  const kinds = new Set([...objects.keys()].map((place) => place.split(" ")[0]));
  expect([...kinds]).toEqual(expect.arrayContaining(["PRINCIPAL", "HOST", "TEAM"]));
  expect(lines.length).toBeGreaterThan(50);
  expect(canaries.size).toBeGreaterThanOrEqual(30);
  const places = [...(await dumpD1()), ...objects, ["log", lines], ["answers", answers]] as const;
  expect(whereIs(canaries, places)).toEqual([]);
});

test("the same search finds a secret in a row, an object, a log line and an answer that have one", async () => {
  const control = new Map([["control", "canary-control-Mn37"]]);
  const [secret] = control.values();
  const p = await person();
  await env.DB.prepare("UPDATE teams SET name = ? WHERE id = ?").bind(`x ${secret}`, p.teamId).run();
  const object = env.PRINCIPAL.getByName(p.userId);
  await runInDurableObject(object, (_, { storage }) => {
    storage.sql.exec("CREATE TABLE control (value BLOB)");
    storage.sql.exec("INSERT INTO control VALUES (?)", new TextEncoder().encode(secret).buffer);
  });
  p.ctx.log.error("control", { secret });
  keep(await p.call("GET", "/v1/teams"), 200);
  const places = [...(await dumpD1()), ...(await dumpObjects()), ["log", lines], ["answers", answers]] as const;
  const found = whereIs(control, places);
  expect(found.map((one) => one.replace(/[0-9a-f]{64}/, "id").replace(/\d+$/, "n"))).toEqual([
    "control in teams n",
    "control in PRINCIPAL id control",
    "control in log",
    "control in answers",
  ]);
});

test("what is repeated of an answer with a secret is sealed (T10)", () => {
  const creating = surfaces.flatMap(({ operations }) => operations.filter(({ creates }) => creates));
  const secret = ["createAPIKey", "createChannel", "createHost"];
  expect(
    creating
      .filter(({ showsSecret }) => showsSecret)
      .map(({ id }) => id)
      .sort(),
  ).toEqual(secret);
});
