import { env } from "cloudflare:workers";
import { expect, inject, test, vi } from "vitest";
import { eventOf, happen, inTeam, logOf, passWaits, received, settled, webhook } from "#test/worker/channels";
import { countOf } from "#test/worker/harness";
import { person } from "#test/worker/person";
import { inbox } from "#test/worker/receivers";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const JSON_TYPE = { "content-type": "application/json" };

let bots = 0;
/** A config of each provider whose notifications come to an inbox, and the request that is then expected. */
function receiverOf(provider: string) {
  if (provider === "telegram") {
    const token = `12345:canary-token-${++bots}`;
    return { box: inbox(`bot${token}`), config: { bot_token: token, chat_id: "@canary-chat".replace("-", "_") } };
  }
  const box = inbox();
  if (provider === "matrix") {
    return { box, config: { homeserver_url: box.url, access_token: "canary-access", room_id: "!canary-room:m.org" } };
  }
  if (provider === "webhook") return { box, config: { url: `${box.url}/canary-path`, secret: "canary-secret" } };
  return { box, config: { webhook_url: `${box.url}/canary-path?canary=query` } };
}

const LINES = (summary: string, event: string) => new RegExp(`${summary}.*${event}.*Ann.*Team.*Time`, "s");
type Expected = { method: string; path: string | RegExp; text: (body: never) => string; body: Record<string, unknown> };
const HOOK = { method: "POST", path: "/canary-path?canary=query" };
const EXPECTED: Record<string, Expected> = {
  discord: {
    ...HOOK,
    text: ({ content }: { content: string }) => content.replaceAll("\\", ""),
    body: { content: expect.any(String), allowed_mentions: { parse: [] }, flags: 4 },
  },
  slack: {
    ...HOOK,
    text: ({ text }: { text: string }) => text,
    body: { text: expect.any(String), mrkdwn: false, unfurl_links: false, unfurl_media: false },
  },
  teams: {
    ...HOOK,
    text: (body) => JSON.stringify(body),
    body: {
      type: "message",
      attachments: [
        {
          contentType: "application/vnd.microsoft.card.adaptive",
          contentUrl: null,
          content: expect.objectContaining({ type: "AdaptiveCard", version: "1.4" }),
        },
      ],
    },
  },
  googlechat: { ...HOOK, text: ({ text }: { text: string }) => text, body: { text: expect.any(String) } },
  telegram: {
    method: "POST",
    path: "/sendMessage",
    text: ({ text }: { text: string }) => text,
    body: {
      chat_id: "@canary_chat",
      text: expect.any(String),
      parse_mode: "HTML",
      link_preview_options: { is_disabled: true },
    },
  },
  matrix: {
    method: "PUT",
    path: /^\/_matrix\/client\/v3\/rooms\/!canary-room%3Am\.org\/send\/m\.room\.message\/[0-9a-f-]{36}$/,
    text: ({ body }: { body: string }) => body,
    body: {
      msgtype: "m.notice",
      body: expect.any(String),
      format: "org.matrix.custom.html",
      formatted_body: expect.any(String),
      "m.mentions": {},
    },
  },
};

test.for(Object.keys(EXPECTED))(
  "%s is sent an event and a test exactly as it wants them (R354, R356, W4)",
  async (provider) => {
    const p = await person();
    const { box, config } = receiverOf(provider);
    const made = await p.call("POST", "/v1/channels", { name: "c", provider, config, events: ["capsule.pause"] });
    expect(made.status).toBe(201);
    await happen(p, eventOf(p.teamId, "capsule.pause"));
    await received(box, 1);
    expect(await p.call("POST", "/v1/channels/test", { provider, config })).toMatchObject({
      status: 200,
      body: { status: "ok" },
    });
    const { method, path, text, body } = EXPECTED[provider] as Expected;
    const [event, trial] = await received(box, 2);
    for (const request of [event, trial]) {
      expect(request).toMatchObject({ method, headers: JSON_TYPE });
      if (typeof path === "string") expect(request?.path).toBe(path);
      else expect(request?.path).toMatch(path);
      expect(JSON.parse(String(request?.body))).toEqual(body);
      if (provider === "matrix") expect(request?.headers.authorization).toBe("Bearer canary-access");
      else expect(request?.headers).not.toHaveProperty("authorization");
    }
    expect(text(JSON.parse(String(event?.body)) as never)).toMatch(LINES("Capsule paused", "capsule.pause"));
    expect(text(JSON.parse(String(trial?.body)) as never)).toMatch(/Test notification.*channel\.test/s);
  },
);

test("a webhook is sent the event, signed with the secret that was shown, and after a rotation with the new one (R353, R358)", async () => {
  const p = await person();
  const hook = await webhook(p, ["capsule.create"]);
  const failed = {
    ...eventOf(p.teamId),
    outcome: "error",
    error: "no “host” 😀",
    metadata: { reason: "host_failure" },
  };
  await happen(p, failed as never);
  const [first] = await received(hook.box, 1);
  expect(first?.headers["x-wrenn-delivery"]).toMatch(UUID);
  expect(Math.abs(Date.now() - Date.parse(String(first?.headers["x-wrenn-timestamp"])))).toBeLessThan(60_000);
  expect(JSON.parse(String(first?.body))).toEqual({
    event: "capsule.create",
    outcome: "error",
    timestamp: new Date(failed.at).toISOString(),
    team_id: p.teamId,
    actor: failed.actor,
    resource: failed.resource,
    metadata: { reason: "host_failure" },
    error: "no “host” 😀",
  });
  await p.call("PUT", `/v1/channels/${hook.id}/config`, { config: { url: hook.box.url, secret: "rotated" } });
  await happen(p, eventOf(p.teamId));
  await received(hook.box, 2);
  const { body } = await p.call("PUT", `/v1/channels/${hook.id}/config`, { config: { url: hook.box.url } });
  await happen(p, eventOf(p.teamId));
  await received(hook.box, 3);
  expect(await hook.box.signed(hook.secret)).toEqual([true, false, false]);
  expect(await hook.box.signed("rotated")).toEqual([false, true, false]);
  expect(await hook.box.signed(body.secret)).toEqual([false, false, true]);
});

test("a test stores nothing, and signs with the given secret (R354)", async () => {
  const p = await person();
  const { box, config } = receiverOf("webhook");
  expect((await p.call("POST", "/v1/channels/test", { provider: "webhook", config })).status).toBe(200);
  const [request] = await received(box, 1);
  expect(await box.signed("canary-secret")).toEqual([true]);
  expect(JSON.parse(String(request?.body))).toMatchObject({
    event: "channel.test",
    team_id: p.teamId,
    actor: { id: p.userId },
  });
  expect(await countOf("channels", "team_id = ?", p.teamId)).toBe(0);
  expect(await inTeam(p.teamId, "SELECT * FROM deliveries")).toEqual([]);
});

test("a test that does not arrive is 400 in words that name no secret (R355, A24, T10)", async () => {
  const p = await person();
  const { box, config } = receiverOf("webhook");
  const fails = async (message: RegExp) => {
    const answer = await p.call("POST", "/v1/channels/test", { provider: "webhook", config });
    expect(answer).toMatchObject({
      status: 400,
      body: { error: { code: "delivery_failed", message: expect.stringMatching(message) } },
    });
    expect(answer.text).not.toMatch(/canary|127\.0\.0\.1/);
  };
  await box.reply({ status: 403, body: "canary of the inside" });
  await fails(/answered 403/);
  await box.reply({ status: 307, headers: { location: box.url } });
  await fails(/answered 307/);
  await box.reply({ drop: true });
  await fails(/could not be reached/);
  expect(await box.received()).toHaveLength(3);
  for (const bad of [
    { provider: "pager", config },
    { provider: "webhook" },
    { config },
    { provider: "webhook", config: {} },
    { provider: "webhook", config: { url: "http://10.0.0.1/" } },
  ]) {
    expect(await p.call("POST", "/v1/channels/test", bad)).toMatchObject({
      status: 400,
      body: { error: { code: "invalid_request" } },
    });
  }
});

test("a user makes ten tests in a minute, with all sessions together (I4)", async () => {
  const p = await person();
  const { box, config } = receiverOf("slack");
  const other = await p.login();
  const test = (from: Pick<typeof p, "call">) => from.call("POST", "/v1/channels/test", { provider: "slack", config });
  const statuses = [];
  for (let i = 0; i < 12; i++) statuses.push((await test(i % 2 ? other : p)).status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(10);
  expect(statuses.at(-1)).toBe(429);
  expect(await box.received()).toHaveLength(10);
  expect((await test(await person())).status).toBe(200);
});

test("no config value is anywhere but sealed: not in rows, objects, logs or answers (R348, T10)", async () => {
  const p = await person();
  const lines: unknown[] = [];
  for (const level of ["debug", "info", "warn", "error", "log"] as const) {
    vi.spyOn(console, level).mockImplementation((...args) => void lines.push(args));
  }
  try {
    for (const provider of [...Object.keys(EXPECTED), "webhook"]) {
      const { box, config } = receiverOf(provider);
      await box.reply(
        { status: 500, body: "canary of the inside", headers: { "x-canary": "canary" } },
        { drop: true },
        { status: 401 },
      );
      const made = await p.call("POST", "/v1/channels", { name: provider, provider, config, events: ["host.up"] });
      expect(made.status).toBe(201);
    }
    await happen(p, eventOf(p.teamId, "host.up"));
    const list = (await p.call("GET", "/v1/channels")).body as { id: string }[];
    for (const { id } of list) await settled(p, id, { last_status: 500 });
    await passWaits(p.teamId);
    for (const { id } of list) await settled(p, id, { reason: "unreachable" });
    await passWaits(p.teamId);
    for (const { id } of list) await settled(p, id, { state: "failed", last_status: 401 });
    const shown = [list, lines, await Promise.all(list.map(({ id }) => logOf(p, id)))];
    const objects = await Promise.all(
      ["deliveries", "pauses", "events"].map((table) => inTeam(p.teamId, `SELECT * FROM ${table}`)),
    );
    const tables = await Promise.all(
      ["channels", "audit_entries", "team_events"].map((t) => env.DB.prepare(`SELECT * FROM ${t}`).all()),
    );
    const text = JSON.stringify([shown, objects, tables]);
    expect(text).not.toContain("canary");
    expect(text).not.toContain(String(inject("receiverPort")));
  } finally {
    vi.restoreAllMocks();
  }
});
