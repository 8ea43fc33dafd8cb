import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { keyPrincipal } from "#domain/principal/values";
import { sha256 } from "#kernel/digest";
import { call, contextFor, countOf, rowOf, tenant } from "#test/worker/harness";

const LOCAL = "http://127.0.0.1:8787";
const TOKEN = "a-set-up-token-of-some-length";

/** Settings are read from the environment at each request. */
function withSettings(settings: Partial<Env>): void {
  for (const [name, value] of Object.entries(settings)) {
    const before = Reflect.get(env, name);
    Reflect.set(env, name, value);
    restore.push(() => (before === undefined ? Reflect.deleteProperty(env, name) : Reflect.set(env, name, before)));
  }
}
const restore: (() => void)[] = [];
afterEach(() => {
  for (const undo of restore.splice(0)) undo();
  vi.restoreAllMocks();
});

test("a key works in both headers, and not from the request after it was revoked on (T7)", async () => {
  const t = await tenant();
  expect((await t.call("GET", "/api/v1/workspaces")).status).toBe(200);
  expect((await call("GET", "/api/v1/workspaces", { headers: { authorization: `bearer ${t.key}` } })).status).toBe(200);
  await t.ctx.principals.principal(t.principal).revoke(t.keyId);
  expect((await t.call("GET", "/api/v1/workspaces")).status).toBe(401);
});

test("a key with one character changed is refused, and a guessed id leaves nothing stored", async () => {
  const t = await tenant();
  const changed = t.key.slice(0, -1) + (t.key.endsWith("a") ? "b" : "a");
  expect((await call("GET", "/api/v1/workspaces", { headers: { "x-api-key": changed } })).status).toBe(401);
  const object = env.PRINCIPAL.getByName(keyPrincipal(await sha256(changed)));
  const tables = "SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'";
  expect(await runInDurableObject(object, (_, { storage }) => storage.sql.exec(tables).toArray())).toEqual([]);
});

test("an expired credential is refused", async () => {
  const t = await tenant();
  const handle = t.ctx.principals.principal("key_test");
  const grant = { kind: "fixed", actor: t.ctx.actor } as const;
  const enrolment = { id: "c", secretHash: "h", grant, createdAt: 0, idleMs: null, device: null };
  await handle.enrol({ ...enrolment, expiresAt: Date.now() + 60_000 });
  expect(await handle.verify("h")).toMatchObject({ ok: true });
  await handle.enrol({ ...enrolment, expiresAt: Date.now() - 1 });
  expect(await handle.verify("h")).toMatchObject({ ok: false, code: "unauthenticated" });
});

test("the key is stored nowhere but as a hash, and appears in no row and no log line (T10)", async () => {
  const lines: string[] = [];
  for (const level of ["debug", "info", "warn", "error", "log"] as const) {
    vi.spyOn(console, level).mockImplementation((...args) => void lines.push(args.map(String).join(" ")));
  }
  withSettings({ LOG_LEVEL: "debug" } as Partial<Env>);
  const t = await tenant();
  await t.workspace();
  await t.call("GET", `/api/v1/workspaces/${t.key}`);
  await t.call("POST", "/api/v1/workspaces", { name: 1 });
  const secret = t.key.slice("wrn_".length + 8);
  const { results } = await env.DB.prepare("SELECT * FROM api_keys, audit_entries").all();
  expect(JSON.stringify(results)).not.toContain(secret);
  expect(lines.length).toBeGreaterThan(1);
  expect(lines.join("\n")).not.toContain(secret);
  expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ level: "info", status: 400, path: "/api/v1/workspaces" });
});

const setUp = (email: string, options: { token?: string; origin?: string; headers?: Record<string, string> } = {}) =>
  call("POST", "/internal/v1/setup/owner", {
    body: { email },
    origin: options.origin ?? LOCAL,
    headers: { "x-setup-token": options.token ?? TOKEN, ...options.headers },
  });

test("set-up is an unknown route without the right token, from this machine too", async () => {
  const unknown = await call("POST", "/internal/v1/setup/nothing", { body: {} });
  const refused = [await setUp("a@example.test"), await setUp("a@example.test", { token: "" })];
  withSettings({ SETUP_TOKEN: "" });
  refused.push(await setUp("a@example.test"), await setUp("a@example.test", { token: "" }));
  withSettings({ SETUP_TOKEN: TOKEN });
  for (const token of ["", "wrong", TOKEN.slice(0, -1), `${TOKEN}x`])
    refused.push(await setUp("a@example.test", { token }));
  for (const one of refused) expect(one).toMatchObject({ status: 404, body: unknown.body });
  expect(await countOf("users", "email = 'a@example.test'")).toBe(0);
});

test("a deployment is set up from elsewhere with the token", async () => {
  withSettings({ SETUP_TOKEN: TOKEN });
  const headers = { "cf-connecting-ip": "203.0.113.9" };
  expect(await setUp("owner@example.test", { origin: "https://longshore.example", headers })).toMatchObject({
    status: 201,
  });
});

test("set-up makes one owner however often it is asked, and each time a working key", async () => {
  withSettings({ SETUP_TOKEN: TOKEN });
  const answers = await Promise.all([
    setUp("Owner@example.test"),
    setUp("owner@example.test"),
    setUp("owner@example.test"),
  ]);
  for (const { status, body } of answers) {
    expect(status).toBe(201);
    expect((await call("GET", "/api/v1/workspaces", { headers: { "x-api-key": body.apiKey } })).status).toBe(200);
  }
  expect(new Set(answers.map(({ body }) => `${body.userId} ${body.teamId}`)).size).toBe(1);
  expect(await rowOf("users", answers[0]!.body.userId)).toMatchObject({
    email: "owner@example.test",
    is_platform_admin: 1,
  });
  expect(await setUp("other@example.test")).toMatchObject({ status: 409 });
  const host = await call("POST", "/internal/v1/setup/hosts", {
    body: {},
    origin: LOCAL,
    headers: { "x-setup-token": TOKEN },
  });
  expect(host).toMatchObject({
    status: 201,
    body: { hostId: expect.any(String), registrationToken: expect.any(String) },
  });
});

test("anonymous callers are let in from this machine alone, into the first team, where it is allowed", async () => {
  withSettings({ SETUP_TOKEN: TOKEN });
  const owner = await setUp("owner@example.test");
  const ask = (origin: string, headers: Record<string, string> = {}) =>
    call("GET", "/api/v1/workspaces", { origin, headers });
  expect((await ask(LOCAL)).status).toBe(401);
  withSettings({ RUNTIME_ANONYMOUS: "true" } as Partial<Env>);
  for (const origin of [LOCAL, "http://localhost:1", "http://[::1]:1"])
    expect((await ask(origin)).status, origin).toBe(200);
  expect((await ask(LOCAL, { "cf-connecting-ip": "127.0.0.1", origin: "http://localhost:3000" })).status).toBe(200);
  for (const headers of [
    { "cf-connecting-ip": "203.0.113.9", "x-forwarded-for": "127.0.0.1" },
    { "cf-connecting-ip": "127.0.0.1.evil.example" },
    { "cf-connecting-ip": "127.0.0.1, 203.0.113.9" },
    { "cf-connecting-ip": "" },
    { origin: "https://evil.example" },
    { origin: "null" },
    { "sec-fetch-site": "cross-site" },
    { "x-api-key": "wrn_wrong" },
    { authorization: "Basic eDp5" },
  ]) {
    expect((await ask(LOCAL, headers as Record<string, string>)).status, JSON.stringify(headers)).toBe(401);
  }
  // What a proxy or a caller claims on the way neither opens nor closes anything.
  const claims = { "x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1", "x-forwarded-host": "127.0.0.1" };
  const forwarded = { ...claims, forwarded: "for=127.0.0.1;host=127.0.0.1", host: "127.0.0.1" };
  for (const origin of ["http://longshore.test", "http://127.0.0.1.evil.example", "http://localhost.evil.example"]) {
    expect((await ask(origin)).status, origin).toBe(401);
    expect((await ask(origin, forwarded)).status, origin).toBe(401);
  }
  expect((await ask("http://127.1:8787")).status).toBe(200);
  const made = await call("POST", "/api/v1/workspaces", { origin: LOCAL, body: { name: "n", runtime: "base" } });
  expect(await rowOf("workspaces", made.body.id)).toMatchObject({ team_id: owner.body.teamId });
});

test("a host's credential opens nothing of a user's", async () => {
  const t = await tenant();
  const host = contextFor({ ...t.ctx.actor, kind: "host", role: null });
  expect(host.actor.kind).toBe("host");
  expect((await call("GET", "/api/v1/workspaces", { headers: { "x-host-token": "garbage" } })).status).toBe(401);
});
