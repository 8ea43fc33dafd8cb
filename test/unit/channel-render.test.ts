import { createHmac } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ChannelConfig } from "#domain/channel/config";
import { type ChannelEvent, type Notification, summaryOf, TEST_EVENT } from "#domain/channel/notification";
import { render } from "#domain/channel/render";
import { oneLine, utf8Length } from "#domain/channel/text";
import { STORED_EVENTS } from "#protocol/team-feed";

const AT = Date.parse("2026-03-01T12:00:00Z");
const ID = "0190f5a2-0000-4000-8000-000000000001";
const HOOK = "https://hooks.example.com/x";

const notificationOf = (event: Partial<ChannelEvent> = {}, teamName = "Crew"): Notification => ({
  deliveryId: ID,
  teamName,
  sentAt: AT + 5_000,
  event: {
    type: "capsule.create",
    outcome: "success",
    teamId: "team_1",
    actor: { type: "user", id: "usr_1", name: "Ann" },
    resource: { type: "sandbox", id: "sb_1" },
    metadata: {},
    at: AT,
    ...event,
  },
});

const CHANNELS: Record<Exclude<ChannelConfig["provider"], "webhook">, ChannelConfig> = {
  discord: { provider: "discord", config: { webhook_url: HOOK } },
  slack: { provider: "slack", config: { webhook_url: HOOK } },
  teams: { provider: "teams", config: { webhook_url: HOOK } },
  googlechat: { provider: "googlechat", config: { webhook_url: HOOK } },
  telegram: { provider: "telegram", config: { bot_token: "1:a", chat_id: "@ops" } },
  matrix: {
    provider: "matrix",
    config: { homeserver_url: "https://m.example.com/base/", access_token: "syt_a", room_id: "!a/b:example.com" },
  },
};
type Chat = keyof typeof CHANNELS;

async function sent(provider: Chat, notification = notificationOf()) {
  const request = await render(CHANNELS[provider], notification, { telegramUrl: "https://tg.example.com" });
  return { ...request, json: JSON.parse(request.body) };
}

/** The text of a message as its provider is given it. */
const TEXT: Record<Chat, (json: never) => string> = {
  discord: (json: { content: string }) => json.content,
  slack: (json: { text: string }) => json.text,
  googlechat: (json: { text: string }) => json.text,
  telegram: (json: { text: string }) => json.text,
  matrix: (json: { formatted_body: string }) => json.formatted_body,
  teams: (json: { attachments: [{ content: { body: { inlines: { text: string }[] }[] } }] }) =>
    json.attachments[0].content.body.map(({ inlines }) => inlines.map(({ text }) => text).join("")).join("\n"),
};
const textOf = async (provider: Chat, notification?: Notification) =>
  TEXT[provider]((await sent(provider, notification)).json as never);

test.for<[Chat, string]>([
  [
    "discord",
    "**Capsule created**\nEvent: capsule\\.create \\(success\\)\nResource: sandbox sb\\_1\nActor: Ann \\(user usr\\_1\\)\nTeam: Crew\nTime: 2026\\-03\\-01T12\\:00\\:00\\.000Z",
  ],
  [
    "slack",
    "Capsule created\nEvent: capsule.create (success)\nResource: sandbox sb_1\nActor: Ann (user usr_1)\nTeam: Crew\nTime: 2026-03-01T12:00:00.000Z",
  ],
  [
    "googlechat",
    "*Capsule created*\nEvent: `capsule.create (success)`\nResource: `sandbox sb_1`\nActor: `Ann (user usr_1)`\nTeam: `Crew`\nTime: `2026-03-01T12:00:00.000Z`",
  ],
  [
    "telegram",
    "<b>Capsule created</b>\nEvent: capsule.create (success)\nResource: sandbox sb_1\nActor: Ann (user usr_1)\nTeam: Crew\nTime: 2026-03-01T12:00:00.000Z",
  ],
  [
    "matrix",
    "<b>Capsule created</b><br>Event: capsule.create (success)<br>Resource: sandbox sb_1<br>Actor: Ann (user usr_1)<br>Team: Crew<br>Time: 2026-03-01T12:00:00.000Z",
  ],
  [
    "teams",
    "Capsule created\nEvent: capsule.create (success)\nResource: sandbox sb_1\nActor: Ann (user usr_1)\nTeam: Crew\nTime: 2026-03-01T12:00:00.000Z",
  ],
])("%s is told summary, event, resource, actor, team and time", async ([provider, text]) => {
  expect(await textOf(provider)).toBe(text);
});

test("every provider is asked where and how it wants (W4)", async () => {
  for (const provider of ["discord", "slack", "teams", "googlechat"] as const) {
    expect(await sent(provider)).toMatchObject({ method: "POST", url: HOOK });
  }
  const telegram = await sent("telegram");
  expect(telegram).toMatchObject({ method: "POST", url: "https://tg.example.com/bot1:a/sendMessage" });
  expect(telegram.json).toMatchObject({ chat_id: "@ops", parse_mode: "HTML" });
  const matrix = await sent("matrix");
  expect(matrix).toMatchObject({
    method: "PUT",
    url: `https://m.example.com/base/_matrix/client/v3/rooms/!a%2Fb%3Aexample.com/send/m.room.message/${ID}`,
    headers: { authorization: "Bearer syt_a" },
  });
  expect(matrix.json).toMatchObject({ msgtype: "m.notice", format: "org.matrix.custom.html", "m.mentions": {} });
  const card = (await sent("teams")).json.attachments[0];
  expect(card).toMatchObject({ contentType: "application/vnd.microsoft.card.adaptive", content: { version: "1.4" } });
});

const HOSTILE = [
  "@everyone @here <@123> <@&1> <#2> **b** _i_ ~s~ `c` ||s|| [x](http://evil.example) # h\n- l\r\n> q",
  "<!channel> <!here> <@U1> <http://evil.example|click> & &amp; *b*",
  "<users/all> <http://evil.example|click> `code` ```block```",
  '<b>bold</b><a href="http://evil.example">x</a><script>&lt;</script> \' " </b>',
  "<at>all</at> ![i](http://evil.example/i.png)",
  "one\u2028two\u2029three\u0085four\u202eevil\u0000\ud800",
];
const hostile = (text: string) =>
  notificationOf(
    {
      actor: { type: "user", id: text, name: text },
      resource: { type: "sandbox", id: text },
      error: text,
      metadata: { reason: text },
    },
    text,
  );

test.for(HOSTILE.map((text) => [text]))("hostile text stays text: %j (W4)", async ([text]) => {
  const notification = hostile(text!);
  const discord = await sent("discord", notification);
  expect(discord.json).toMatchObject({ allowed_mentions: { parse: [] }, flags: 4 });
  expect(
    TEXT.discord(discord.json as never)
      .replace(/\\./g, "")
      .replace(/^\*\*[\w ]+\*\*$/m, ""),
  ).not.toMatch(/[*_~`|<>@#[\]\\]/);

  expect((await textOf("slack", notification)).replace(/&(amp|lt|gt);/g, "")).not.toMatch(/[<>&]/);
  expect((await sent("slack", notification)).json).toMatchObject({ mrkdwn: false, unfurl_links: false });

  const chat = await textOf("googlechat", notification);
  expect(chat).not.toMatch(/<(?!\u200b)/);
  for (const line of chat.split("\n").slice(1)) expect(line).toMatch(/^[A-Z]\w+: `[^`]*`$/);

  for (const provider of ["telegram", "matrix"] as const) {
    const ours = /^<b>[\w ]+<\/b>|<br>/g;
    const rest = (await textOf(provider, notification)).replace(ours, "").replace(/&(amp|lt|gt|quot|#39);/g, "");
    expect(rest).not.toMatch(/[<>&"]/);
  }
  for (const { inlines } of (await sent("teams", notification)).json.attachments[0].content.body) {
    for (const inline of inlines) expect(inline.type).toBe("TextRun");
  }
  for (const provider of Object.keys(CHANNELS) as Chat[]) {
    const written = await textOf(provider, notification);
    expect(written.split(/\n|<br>/)).toHaveLength(8);
    expect(written).not.toMatch(/[\p{Zl}\p{Zp}\u202e]/u);
    expect(written.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
    expect(written.isWellFormed()).toBe(true);
  }
});

const UNITS: Record<Chat, [limit: number, size: (text: string, body: string) => number]> = {
  discord: [2_000, (text) => text.length],
  slack: [4_000, (text) => text.length],
  telegram: [4_096, (text) => text.length],
  googlechat: [4_000, (text) => utf8Length(text)],
  teams: [28_000, (_, body) => utf8Length(body)],
  matrix: [60_000, (_, body) => utf8Length(body)],
};

test("a message of any length fits its provider, with whole escapes and characters (W4)", async () => {
  const piece = fc.constantFrom("a", "&", "<", "`", "*", "😀", "é", "\n", "\u0007", '"', "👨‍👩‍👧", ...HOSTILE);
  const text = fc.array(piece, { maxLength: 60 }).chain((pieces) => fc.nat(200).map((n) => pieces.join("").repeat(n)));
  await fc.assert(
    fc.asyncProperty(text, fc.constantFrom(...(Object.keys(CHANNELS) as Chat[])), async (long, provider) => {
      const { body, json } = await sent(provider, hostile(long));
      const written = TEXT[provider](json as never);
      const [limit, size] = UNITS[provider];
      expect(size(written, body)).toBeLessThanOrEqual(limit);
      expect(written.isWellFormed()).toBe(true);
      if (provider === "telegram") expect(written.replace(/&(amp|lt|gt|quot|#39);/g, "")).not.toContain("&");
      if (provider === "discord") expect(written.replace(/\\./g, "")).not.toContain("\\");
    }),
    { numRuns: 150 },
  );
});

test("a value is cut as wide as fits, and not where nothing has to be", async () => {
  expect(
    (await textOf("slack", notificationOf({ error: "e".repeat(900) }))).endsWith(`Error: ${"e".repeat(900)}`),
  ).toBe(true);
  const long = await textOf("discord", notificationOf({ error: "&".repeat(5_000) }));
  expect(long.length).toBeGreaterThan(1_000);
  expect(long.endsWith("…")).toBe(true);
  expect(oneLine("😀😀😀", 2)).toBe("😀…");
  expect(oneLine("😀😀", 2)).toBe("😀😀");
});

test("every event has words of its own, and a failed one has others", () => {
  for (const type of [...STORED_EVENTS, TEST_EVENT]) {
    expect(summaryOf({ ...notificationOf().event, type }), type).not.toBe(type);
  }
  expect(summaryOf(notificationOf({ outcome: "error" }).event)).toBe("Capsule could not be created");
});

const webhook = (secret: string, notification: Notification) =>
  render({ provider: "webhook", config: { url: HOOK, secret } }, notification, { telegramUrl: "" });

test("the body of a webhook is the event, with what belongs to it alone", async () => {
  const failed = { outcome: "error", error: "no host", metadata: { reason: "host_failure" } } as const;
  expect(JSON.parse((await webhook("s", notificationOf(failed))).body)).toEqual({
    event: "capsule.create",
    ...failed,
    timestamp: "2026-03-01T12:00:00.000Z",
    team_id: "team_1",
    actor: { type: "user", id: "usr_1", name: "Ann" },
    resource: { type: "sandbox", id: "sb_1" },
  });
  const { outcome: _, ...up } = notificationOf({ type: "host.up" }).event;
  const body = JSON.parse((await webhook("s", { ...notificationOf(), event: up })).body);
  expect(Object.keys(body).sort()).toEqual(["actor", "event", "resource", "team_id", "timestamp"]);
});

test("both signatures verify with another implementation, for any text and any secret (R358, W3)", async () => {
  const secrets = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 64 }).map((key) => `whsec_${Buffer.from(key).toString("base64")}`),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }),
    fc.constant("whsec_not base64"),
  );
  const bodies = fc.oneof(fc.string({ unit: "grapheme", maxLength: 200 }), fc.constant("x".repeat(1024 * 1024)));
  await fc.assert(
    fc.asyncProperty(secrets, bodies, async (secret, text) => {
      const { headers, body } = await webhook(secret, notificationOf({ error: text, outcome: "error" }));
      expect(headers).toMatchObject({
        "X-Wrenn-Timestamp": "2026-03-01T12:00:05.000Z",
        "X-Wrenn-Delivery": ID,
        "webhook-id": ID,
        "webhook-timestamp": String(AT / 1000 + 5),
      });
      const wrenn = createHmac("sha256", secret).update(`${headers["X-Wrenn-Timestamp"]}.${body}`).digest("hex");
      expect(headers["X-WRENN-SIGNATURE"]).toBe(`sha256=${wrenn}`);
      const [, encoded] = /^whsec_([A-Za-z0-9+/]+=*)$/.exec(secret) ?? [];
      const key = encoded ? Buffer.from(encoded, "base64") : Buffer.from(secret);
      const standard = createHmac("sha256", key)
        .update(`${ID}.${AT / 1000 + 5}.${body}`)
        .digest("base64");
      expect(headers["webhook-signature"]).toBe(`v1,${standard}`);
    }),
    { numRuns: 60 },
  );
});
