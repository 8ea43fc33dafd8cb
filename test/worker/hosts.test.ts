import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { decodeJwt, importJWK, type JWK, SignJWT } from "jose";
import { expect, test } from "vitest";
import { createHost } from "#domain/host/create-host";
import { signControlToken } from "#platform/sandbox/control-token";
import {
  actorOf,
  auditOf,
  byocTeam,
  ctxOf,
  eventually,
  newSandbox,
  newTeam,
  onlineHost,
  rowOf,
} from "#test/worker/control";
import { serveFakeAgents } from "#test/worker/fake-agent";
import { call } from "#test/worker/harness";

const operator = () => ctxOf(actorOf("", null, "system"));

async function post(path: string, body?: unknown, headers: Record<string, string> = {}) {
  const answer = await call("POST", path, { body, headers: { "content-type": "application/json", ...headers } });
  return { status: answer.status, body: answer.text === "" ? null : answer.body };
}

const specs = { arch: "x86_64", cpu_cores: 2, memory_mb: 4096, disk_gb: 20, address: "127.0.0.1:9100" };

async function registered(input: Parameters<typeof createHost>[1] = { type: "regular" }, address = specs.address) {
  const { host, registrationToken } = await createHost(operator(), input);
  const answer = await post("/v1/hosts/register", { token: registrationToken, ...specs, address });
  expect(answer.status).toBe(201);
  const { token, refresh_token } = answer.body as Record<string, string>;
  return { hostId: host.id, registrationToken, token: token!, refreshToken: refresh_token!, answer };
}

const beat = (hostId: string, token: string, headers = {}) =>
  post(`/v1/hosts/${hostId}/heartbeat`, undefined, { "x-host-token": token, ...headers });

const setHost = (hostId: string, change: string) =>
  runInDurableObject(env.HOST.getByName(hostId), async (_, { storage }) => {
    storage.sql.exec(`UPDATE host SET ${change}`);
    await storage.sync();
  });

test("R313 a host registers with its one-time token and is online", async () => {
  const { hostId, answer, registrationToken } = await registered();
  const { address, ...sizes } = specs;
  expect(answer.body.host).toMatchObject({ id: hostId, status: "online", address, ...sizes, last_heartbeat_at: null });
  const [key] = answer.body.control_keys.keys;
  expect(key).toEqual({
    kty: "OKP",
    crv: "Ed25519",
    alg: "EdDSA",
    use: "sig",
    x: expect.any(String),
    kid: expect.any(String),
  });
  expect(await rowOf("hosts", hostId)).toMatchObject({ status: "online", address, cpu_cores: 2 });
  expect(await auditOf(hostId)).toEqual(["host.created", "host.registered"]);
  expect((await post("/v1/hosts/register", { token: registrationToken, ...specs })).status).toBe(401);
});

test("R315 R316 the JWT holds seven days, the refresh token sixty, and no secret is stored in the clear (T10)", async () => {
  const { hostId, token, refreshToken, registrationToken } = await registered();
  const { iat, exp, aud, iss, sub } = decodeJwt(token);
  expect([exp! - iat!, aud, iss, sub]).toEqual([7 * 86_400, "host", "longshore", hostId]);
  const stored = await runInDurableObject(env.HOST.getByName(hostId), (_, { storage }) =>
    JSON.stringify(storage.sql.exec("SELECT * FROM host").toArray()),
  );
  for (const secret of [token, refreshToken, registrationToken]) expect(stored).not.toContain(secret);
  const row = await runInDurableObject(env.HOST.getByName(hostId), (_, { storage }) =>
    storage.sql.exec<{ at: number }>("SELECT json_extract(credentials, '$.refresh.expiresAt') AS at FROM host").one(),
  );
  expect(row.at - Date.now()).toBeGreaterThan(59.9 * 86_400_000);
});

test.for<[string, Record<string, unknown>, number]>([
  ["no token", { address: specs.address }, 400],
  ["no address", { token: "lsreg.x.y" }, 400],
  ["an unknown token", { token: "lsreg.host_00000000000000000000.x", ...specs }, 401],
  ["a token that is none", { token: "nonsense", ...specs }, 401],
  ["sizes that are none", { token: "nonsense", ...specs, cpu_cores: -1 }, 400],
])("R313 R314 registering with %s is refused", async ([, body, status]) => {
  const code = status === 400 ? "invalid_request" : "unauthorized";
  expect(await post("/v1/hosts/register", body)).toEqual({
    status,
    body: { error: { code, message: expect.any(String) } },
  });
});

test("a registration that is refused for its address leaves the token good", async () => {
  const { registrationToken: token, host } = await createHost(operator(), { type: "byoc", teamId: await byocTeam() });
  for (const address of ["127.0.0.1:9100", "localhost:1", "http://x:1", "x"]) {
    expect((await post("/v1/hosts/register", { token, ...specs, address })).status).toBe(400);
  }
  expect((await post("/v1/hosts/register", { token, ...specs, address: "agent.example.com:443" })).status).toBe(201);
  expect(await rowOf("hosts", host.id)).toMatchObject({ status: "online", team_id: expect.any(String) });
});

test("R309 a registration token expires", async () => {
  const { host, registrationToken } = await createHost(operator(), { type: "regular" });
  await setHost(host.id, "credentials = json_set(credentials, '$.invitation.expiresAt', 0)");
  await evictDurableObject(env.HOST.getByName(host.id));
  expect((await post("/v1/hosts/register", { token: registrationToken, ...specs })).status).toBe(401);
});

test("R321 R322 a heartbeat counts with the host's own JWT alone", async () => {
  const [mine, other] = [await registered(), await registered()];
  expect(await beat(mine.hostId, mine.token)).toEqual({ status: 204, body: null });
  await eventually(async () =>
    expect(await rowOf("hosts", mine.hostId)).toMatchObject({ last_heartbeat_at: expect.any(Number) }),
  );
  expect((await beat(other.hostId, mine.token)).status).toBe(403);
  expect((await beat(mine.hostId, "")).status).toBe(401);
  expect((await post(`/v1/hosts/${mine.hostId}/heartbeat`)).status).toBe(401);
});

test("T4 T6 no other token passes as a host's JWT", async () => {
  const { hostId, token, refreshToken, registrationToken } = await registered();
  const key = await importJWK(JSON.parse(env.SIGNING_KEY!) as JWK, "EdDSA");
  const claims = { team: null, fam: 1 };
  const like = (typ: string, audience: string, exp = "1h") =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: "EdDSA", typ })
      .setIssuer("longshore")
      .setSubject(hostId)
      .setAudience(audience)
      .setExpirationTime(exp)
      .sign(key);
  expect((await beat(hostId, await like("host+jwt", "host"))).status).toBe(204);
  const [, payload] = token.split(".");
  const none = `${btoa(JSON.stringify({ alg: "none", typ: "host+jwt" })).replaceAll("=", "")}.${payload}.`;
  const control = await signControlToken(env, { hostId, sandboxId: hostId, generation: 1 }, "lifecycle");
  const bad = [
    await like("JWT", "host"),
    await like("host+jwt", "other"),
    await like("host+jwt", "host", "-1s"),
    await new SignJWT(claims).setProtectedHeader({ alg: "HS256", typ: "host+jwt" }).sign(new TextEncoder().encode("k")),
    ...[none, control.token, refreshToken, registrationToken, `${token}x`, "a.b.c"],
  ];
  for (const wrong of bad) expect((await beat(hostId, wrong)).status).toBe(401);
});

test("R317 T5 a refresh token works once; reuse later ends the family, JWTs included, and is audited", async () => {
  const { hostId, token, refreshToken } = await registered();
  const refresh = (refresh_token: string) => post("/v1/hosts/auth/refresh", { refresh_token });
  const next = await refresh(refreshToken);
  expect(next).toMatchObject({
    status: 200,
    body: { host: { id: hostId }, control_keys: { keys: [expect.anything()] } },
  });
  expect((await beat(hostId, next.body.token)).status).toBe(204);
  expect((await refresh(refreshToken)).status).toBe(401);
  expect((await beat(hostId, token)).status).toBe(204);

  await setHost(hostId, "credentials = json_set(credentials, '$.spent[0].at', 0)");
  await evictDurableObject(env.HOST.getByName(hostId));
  expect((await refresh(refreshToken)).status).toBe(401);
  for (const old of [token, next.body.token]) expect((await beat(hostId, old)).status).toBe(401);
  expect((await refresh(next.body.refresh_token)).status).toBe(401);
  expect(await auditOf(hostId)).toEqual([
    ...["host.created", "host.registered", "host.token_refreshed", "host.refresh_token_reused"],
  ]);
});

test("T5 of many simultaneous refreshes exactly one gets a pair", async () => {
  const { hostId, refreshToken } = await registered();
  const refresh = () => post("/v1/hosts/auth/refresh", { refresh_token: refreshToken });
  const answers = await Promise.all(Array.from({ length: 8 }, refresh));
  const [winner, ...more] = answers.filter(({ status }) => status === 200);
  expect(more).toEqual([]);
  expect((await beat(hostId, winner!.body.token)).status).toBe(204);
});

test.for([
  ["{}", 400],
  ['{"refresh_token":"x"}', 401],
  ["nonsense", 400],
] as const)("R318 refreshing with %s is refused", async ([body, status]) => {
  const headers = { "content-type": "application/json" };
  const response = await call("POST", "/v1/hosts/auth/refresh", { headers, body });
  expect(response.status).toBe(status);
  expect(response.body).toEqual({ error: { code: expect.any(String), message: expect.any(String) } });
});

test("R324 R181 a silent host becomes unreachable with its sandboxes missing, and R323 a heartbeat brings both back", async () => {
  serveFakeAgents();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  const agent = await onlineHost();
  const teamId = newTeam();
  const sandboxId = await newSandbox(teamId);
  expect(await env.SANDBOX.getByName(sandboxId).start(teamId)).toMatchObject({ ok: true });
  await eventually(async () => expect(await rowOf("sandboxes", sandboxId)).toMatchObject({ status: "running" }));

  agent.up = false;
  const object = env.HOST.getByName(agent.hostId);
  await setHost(agent.hostId, "liveness = json_set(liveness, '$.lastBeatAt', 0)");
  await evictDurableObject(object);
  await runDurableObjectAlarm(object);
  await eventually(async () => expect(await rowOf("hosts", agent.hostId)).toMatchObject({ status: "unreachable" }));
  await eventually(async () => expect(await rowOf("sandboxes", sandboxId)).toMatchObject({ status: "missing" }));

  agent.up = true;
  expect(await object.beat()).toEqual({ ok: true, value: null });
  await eventually(async () => expect(await rowOf("hosts", agent.hostId)).toMatchObject({ status: "online" }));
  await eventually(async () => expect(await rowOf("sandboxes", sandboxId)).toMatchObject({ status: "running" }));
  expect(await auditOf(agent.hostId)).toEqual(["host.created", "host.registered", "host.lost", "host.returned"]);
});

test("a host that moved says so with its heartbeat, but not to where a team's host must not be", async () => {
  const { hostId, token } = await registered();
  expect((await beat(hostId, token, { "x-host-address": "127.0.0.1:9200" })).status).toBe(204);
  await eventually(async () => expect(await rowOf("hosts", hostId)).toMatchObject({ address: "127.0.0.1:9200" }));
  expect((await beat(hostId, token, { "x-host-address": "no address" })).status).toBe(400);
  const theirs = await registered({ type: "byoc", teamId: await byocTeam() }, "agent.example.com:1");
  expect((await beat(theirs.hostId, theirs.token, { "x-host-address": "127.0.0.1:1" })).status).toBe(400);
});

test("R156 a team that brings its own hosts is placed there and nobody else is", async () => {
  serveFakeAgents();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  const agent = await onlineHost();
  const teamId = newTeam();
  const sandboxId = await newSandbox(teamId);
  const start = () => env.SANDBOX.getByName(sandboxId).start(teamId);
  await env.DB.prepare("UPDATE hosts SET type = 'byoc', team_id = ? WHERE id = ?").bind(teamId, agent.hostId).run();
  expect(await start()).toMatchObject({ ok: false, code: "no_hosts_available" });
  await env.DB.prepare(
    "INSERT INTO teams (id, name, slug, is_byoc, created_at, updated_at) VALUES (?1, 't', ?1, 1, 0, 0)",
  )
    .bind(teamId)
    .run();
  expect(await start()).toMatchObject({ ok: true, value: { hostId: agent.hostId } });
  const other = newTeam();
  const theirs = await newSandbox(other);
  expect(await env.SANDBOX.getByName(theirs).start(other)).toMatchObject({ ok: false, code: "no_hosts_available" });
});

test("only who may set the platform up invites hosts", async () => {
  for (const actor of [actorOf(newTeam(), "owner"), actorOf("", null, "host"), actorOf("", null, "anonymous")]) {
    await expect(createHost(ctxOf(actor), { type: "regular" })).rejects.toMatchObject({ code: "forbidden" });
  }
  await expect(createHost(operator(), { type: "byoc" })).rejects.toMatchObject({ code: "invalid" });
  await expect(createHost(operator(), { type: "regular", teamId: "t" })).rejects.toMatchObject({ code: "invalid" });
});
