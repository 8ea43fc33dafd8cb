import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { systemActor } from "#domain/actor";
import { createChannel } from "#domain/channel/create-channel";
import { type IdKind, newId } from "#kernel/id";
import { contextFor, countOf, rowOf, tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";

const HOOK = "https://hooks.example.com/services/CANARY-HOOK";
const CONFIGS: Record<string, Record<string, string>> = {
  discord: { webhook_url: HOOK },
  slack: { webhook_url: HOOK },
  teams: { webhook_url: HOOK },
  googlechat: { webhook_url: HOOK },
  telegram: { bot_token: "123:CANARY-TOKEN", chat_id: "-100" },
  matrix: { homeserver_url: "https://m.example.com", access_token: "CANARY-ACCESS", room_id: "!CANARY-ROOM:m" },
  webhook: { url: HOOK, secret: "CANARY-SECRET" },
};
const slack = { name: "ops", provider: "slack", config: { webhook_url: HOOK }, events: ["capsule.create"] };
const invalid = { status: 400, body: { error: { code: "invalid_request", message: expect.any(String) } } };
const missing = { status: 404, body: { error: { code: "not_found", message: expect.any(String) } } };
const UNKNOWN = "ch_0000000000abcdefghjk";

test("a channel is stored sealed, audited and shown without its config (R341, R348)", async () => {
  const p = await person();
  const { status, body } = await p.call("POST", "/v1/channels", { ...slack, team_id: "team_x", id: "ch_x" });
  expect(status).toBe(201);
  expect(body).toEqual({
    id: expect.stringMatching(/^ch_/),
    team_id: p.teamId,
    name: "ops",
    provider: "slack",
    events: ["capsule.create"],
    created_at: expect.any(String),
    updated_at: expect.any(String),
  });
  expect(await rowOf("channels", body.id)).toMatchObject({
    team_id: p.teamId,
    created_by: p.userId,
    config: expect.stringMatching(/^v1\./),
  });
  expect(await rowOf("audit_entries", body.id, "subject_id")).toMatchObject({
    action: "channel.created",
    actor_id: p.userId,
    scope: "team",
  });
  expect((await p.call("GET", `/v1/channels/${body.id}`)).body).toEqual(body);
});

test.for(Object.keys(CONFIGS))("no answer and no row shows a value of a %s config (R348, T10)", async (provider) => {
  const p = await person();
  const config = CONFIGS[provider];
  const made = await p.call("POST", "/v1/channels", { ...slack, provider, config });
  expect(made.status).toBe(201);
  const path = `/v1/channels/${made.body.id}`;
  const answers = [
    made,
    await p.call("GET", "/v1/channels"),
    await p.call("GET", path),
    await p.call("PATCH", path, { name: "other", events: ["host.up"] }),
    await p.call("PUT", `${path}/config`, { config }),
    await p.call("GET", `${path}/deliveries`),
    await p.call("POST", "/v1/channels", { ...slack, name: "other", provider, config }),
    await p.call("POST", "/v1/channels", {
      ...slack,
      provider,
      config: { ...config, webhook_url: "CANARY", url: "CANARY", homeserver_url: "CANARY", bot_token: "CANARY" },
    }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([201, 200, 200, 200, 200, 200, 409, 400]);
  for (const { text } of answers) expect(text).not.toContain("CANARY");
  for (const table of ["channels", "audit_entries"]) {
    const { results } = await env.DB.prepare(`SELECT * FROM ${table}`).all();
    expect(JSON.stringify(results)).not.toContain("CANARY");
  }
});

test.for<[string, Record<string, unknown>]>([
  ["no name", { name: undefined }],
  ["no provider", { provider: undefined }],
  ["no config", { config: undefined }],
  ["no events", { events: undefined }],
  ["an empty list of events (R344)", { events: [] }],
  ["an unknown event (R344)", { events: ["capsule.create", "capsule.explode"] }],
  ["a transient event (R344, R375)", { events: ["capsule.state.changed"] }],
  ["an unknown provider (R342)", { provider: "pager" }],
  ["a config that is not text", { config: { webhook_url: 7 } }],
  ["a config without its field (R343)", { config: {} }],
  ["an address inside (R360)", { config: { webhook_url: "https://127.0.0.1/x" } }],
  ["a name that is none (R346)", { name: "!" }],
])("creating a channel with %s is refused (R341)", async ([, change]) => {
  const p = await person();
  expect(await p.call("POST", "/v1/channels", { ...slack, ...change })).toMatchObject(invalid);
  expect(await countOf("channels", "team_id = ?", p.teamId)).toBe(0);
});

test("every event of the contract can be subscribed to, each once (R344)", async () => {
  const p = await person();
  const actions = ["capsule.create", "capsule.pause", "capsule.resume", "capsule.destroy"];
  const events = [...actions, "template.snapshot.create", "template.snapshot.delete", "host.up", "host.down"];
  const { body } = await p.call("POST", "/v1/channels", { ...slack, events: [...events, ...events] });
  expect(body.events).toEqual(events);
});

test("a name is unique in its team, however it is written, and free in another (R345, R346)", async () => {
  const [p, q] = [await person(), await person()];
  const first = await p.call("POST", "/v1/channels", { ...slack, name: "  Ops Room " });
  expect(first.body.name).toBe("ops-room");
  const conflict = { status: 409, body: { error: { code: "conflict" } } };
  expect(await p.call("POST", "/v1/channels", { ...slack, name: "ops room" })).toMatchObject(conflict);
  expect(await q.call("POST", "/v1/channels", { ...slack, name: "ops-room" })).toMatchObject({ status: 201 });
  const other = await p.call("POST", "/v1/channels", { ...slack, name: "other" });
  const rename = { name: "OPS-ROOM", events: ["host.up"] };
  expect(await p.call("PATCH", `/v1/channels/${other.body.id}`, rename)).toMatchObject(conflict);
  expect(await p.call("PATCH", `/v1/channels/${first.body.id}`, rename)).toMatchObject({ status: 200 });
});

test("of simultaneous creations with one name exactly one succeeds (R345)", async () => {
  const p = await person();
  const answers = await Promise.all(Array.from({ length: 6 }, () => p.call("POST", "/v1/channels", slack)));
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409]);
  expect(await countOf("audit_entries", "team_id = ? AND action = 'channel.created'", p.teamId)).toBe(1);
});

test("a webhook without secret is given one, which is shown once (R347)", async () => {
  const p = await person();
  const webhook = { ...slack, provider: "webhook", config: { url: HOOK } };
  const { body } = await p.call("POST", "/v1/channels", webhook);
  expect(body.secret).toMatch(/^whsec_/);
  const path = `/v1/channels/${body.id}`;
  const later = [
    await p.call("GET", path),
    await p.call("GET", "/v1/channels"),
    await p.call("PATCH", path, { name: "x", events: ["host.up"] }),
    await p.call("PUT", `${path}/config`, { config: { url: HOOK, secret: "mine" } }),
  ];
  for (const { status, text } of later) {
    expect(status).toBe(200);
    expect(text).not.toContain("secret");
  }
  const rotated = await p.call("PUT", `${path}/config`, { config: { url: HOOK } });
  expect(rotated.body.secret).toMatch(/^whsec_/);
  expect(rotated.body.secret).not.toBe(body.secret);
  const own = await p.call("POST", "/v1/channels", { ...webhook, name: "own", config: { url: HOOK, secret: "s" } });
  expect(own.body).not.toHaveProperty("secret");
});

test("a repeat under one Idempotency-Key answers the same channel and the same secret (R6)", async () => {
  const p = await person();
  const body = { ...slack, provider: "webhook", config: { url: HOOK } };
  const send = () => p.call("POST", "/v1/channels", body, { "idempotency-key": "one" });
  const [first, second] = [await send(), await send()];
  expect(second).toMatchObject({ status: 201, body: first.body });
  expect(await countOf("channels", "team_id = ?", p.teamId)).toBe(1);
});

test("a creation that was cut off before its answer was kept shows the stored secret when it is repeated (R6, R347)", async () => {
  const p = await person();
  const ctx = contextFor({ ...systemActor("test", p.teamId), kind: "user", role: "owner" });
  const id = newId("channel", Date.now());
  const repeated = { ...ctx, newId: (kind: IdKind) => (kind === "channel" ? id : ctx.newId(kind)) };
  const input = { name: "cut", provider: "webhook", config: { url: HOOK }, events: ["host.up"] } as const;
  const [first, second] = [await createChannel(repeated, input), await createChannel(repeated, input)];
  expect(second).toEqual(first);
  expect(first.secret).toMatch(/^whsec_/);
  const theirs = contextFor({ ...systemActor("test", "team_other"), kind: "user", role: "owner" });
  await expect(createChannel({ ...theirs, newId: repeated.newId }, input)).rejects.toMatchObject({ code: "conflict" });
});

test("channels are listed and found in their own team alone (R349, T1)", async () => {
  const [p, q] = [await person(), await person()];
  const mine = await p.call("POST", "/v1/channels", slack);
  await q.call("POST", "/v1/channels", slack);
  const list = await p.call("GET", "/v1/channels");
  expect(list.body).toEqual([mine.body]);
  const path = `/v1/channels/${mine.body.id}`;
  const foreign = [
    await q.call("GET", path),
    await q.call("PATCH", path, { name: "x", events: ["host.up"] }),
    await q.call("PUT", `${path}/config`, { config: slack.config }),
    await q.call("GET", `${path}/deliveries`),
    await q.call("POST", `${path}/deliveries/x/redeliver`),
  ];
  const unknown = [
    await q.call("GET", `/v1/channels/${UNKNOWN}`),
    await q.call("PATCH", `/v1/channels/${UNKNOWN}`, { name: "x", events: ["host.up"] }),
    await q.call("PUT", `/v1/channels/${UNKNOWN}/config`, { config: slack.config }),
    await q.call("GET", `/v1/channels/${UNKNOWN}/deliveries`),
    await q.call("POST", `/v1/channels/${UNKNOWN}/deliveries/x/redeliver`),
  ];
  for (const [i, answer] of foreign.entries()) {
    expect(answer).toMatchObject(missing);
    expect(answer.text).toBe(unknown[i]?.text);
  }
  expect(await q.call("DELETE", path)).toMatchObject({ status: 204, text: "" });
  expect((await p.call("GET", path)).status).toBe(200);
});

test("an update changes name and events, leaves the config alone, and moves updated_at (R350)", async () => {
  const p = await person();
  const { body: made } = await p.call("POST", "/v1/channels", slack);
  const before = await rowOf("channels", made.id);
  const path = `/v1/channels/${made.id}`;
  const change = { name: "New Name", events: ["host.down", "host.up"], provider: "webhook", config: { url: HOOK } };
  const { status, body } = await p.call("PATCH", path, change);
  expect(status).toBe(200);
  expect(body).toEqual({ ...made, name: "new-name", events: change.events, updated_at: expect.any(String) });
  expect(Date.parse(body.updated_at)).toBeGreaterThan(Date.parse(made.updated_at));
  expect(await rowOf("channels", made.id)).toMatchObject({ config: before?.config, provider: "slack" });
  expect(await countOf("audit_entries", "subject_id = ? AND action = 'channel.updated'", made.id)).toBe(1);
  for (const bad of [
    { name: "x" },
    { events: ["host.up"] },
    { name: "x", events: [] },
    { name: "/", events: ["host.up"] },
  ]) {
    expect(await p.call("PATCH", path, bad)).toMatchObject(invalid);
  }
});

test("rotation replaces the whole config of the same provider, or nothing (R352)", async () => {
  const p = await person();
  const { body: made } = await p.call("POST", "/v1/channels", { ...slack, provider: "matrix", config: CONFIGS.matrix });
  const path = `/v1/channels/${made.id}/config`;
  const before = await rowOf("channels", made.id);
  for (const config of [{}, { homeserver_url: "https://other.example.com" }, { webhook_url: HOOK }]) {
    expect(await p.call("PUT", path, { config })).toMatchObject(invalid);
  }
  expect(await p.call("PUT", path, {})).toMatchObject(invalid);
  expect(await rowOf("channels", made.id)).toEqual(before);
  const { status, body } = await p.call("PUT", path, { config: { ...CONFIGS.matrix, access_token: "new" } });
  expect({ status, body }).toEqual({ status: 200, body: { ...made, updated_at: expect.any(String) } });
  const after = await rowOf("channels", made.id);
  expect(after?.config).not.toBe(before?.config);
  expect(JSON.parse(await p.ctx.secrets.open(String(after?.config), made.id)).config.access_token).toBe("new");
  await expect(p.ctx.secrets.open(String(after?.config), UNKNOWN)).rejects.toThrow();
  expect(await countOf("audit_entries", "subject_id = ? AND action = 'channel.config_rotated'", made.id)).toBe(1);
});

test("deleting a channel is 204, again and for unknown ones, and audited once (R351, A26)", async () => {
  const p = await person();
  const { body } = await p.call("POST", "/v1/channels", slack);
  for (const id of [body.id, body.id, UNKNOWN, "nonsense"]) {
    expect(await p.call("DELETE", `/v1/channels/${id}`)).toMatchObject({ status: 204, text: "" });
  }
  expect(await p.call("GET", `/v1/channels/${body.id}`)).toMatchObject(missing);
  expect(await p.call("GET", "/v1/channels/nonsense")).toMatchObject(missing);
  expect(await countOf("audit_entries", "action = 'channel.deleted' AND team_id = ?", p.teamId)).toBe(1);
});

test("a team has at most 50 channels", async () => {
  const p = await person();
  const { body } = await p.call("POST", "/v1/channels", slack);
  const copy =
    "INSERT INTO channels SELECT ?1, team_id, ?1, provider, config, events, created_by, created_at, updated_at FROM channels WHERE id = ?2";
  await env.DB.batch(Array.from({ length: 49 }, (_, i) => env.DB.prepare(copy).bind(`c${i}-${p.teamId}`, body.id)));
  expect(await p.call("POST", "/v1/channels", { ...slack, name: "one-more" })).toMatchObject(invalid);
  expect(await countOf("channels", "team_id = ?", p.teamId)).toBe(50);
});

test("a viewer reads channels and changes none; an API key does neither (R12, T3)", async () => {
  const p = await person();
  const { body } = await p.call("POST", "/v1/channels", slack);
  const viewer = await person({ role: "viewer", teamId: p.teamId });
  const path = `/v1/channels/${body.id}`;
  expect((await viewer.call("GET", path)).status).toBe(200);
  const writes = [
    ["POST", "/v1/channels", slack],
    ["POST", "/v1/channels/test", slack],
    ["PATCH", path, { name: "x", events: ["host.up"] }],
    ["PUT", `${path}/config`, { config: slack.config }],
    ["DELETE", path, undefined],
    ["POST", `${path}/deliveries/x/redeliver`, undefined],
  ] as const;
  for (const [method, at, input] of writes) {
    expect(await viewer.call(method, at, input)).toMatchObject({ status: 403, body: { error: { code: "forbidden" } } });
  }
  const t = await tenant();
  for (const [method, at, input] of writes) expect((await t.call(method, at, input)).status).toBe(401);
  expect((await t.call("GET", "/v1/channels")).status).toBe(401);
});
