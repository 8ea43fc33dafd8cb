import { expect, test } from "vitest";
import { parseConfig, readConfig, storedConfig } from "#domain/channel/config";
import { channelName, PROVIDERS, type Provider } from "#domain/channel/values";
import { DEFAULT_PORTS, guardUrl } from "#domain/outbound/guard";
import type { Outbound } from "#domain/outbound/ports";
import { Fault } from "#kernel/fault";

const settings = { allow: new Set(["chat:8065"]), ports: new Set(DEFAULT_PORTS) };
const outbound: Outbound = {
  telegramUrl: "",
  check: (url) => guardUrl(url, settings),
  send: () => Promise.reject(new Error("nothing is sent here")),
};
const parse = (provider: Provider, raw: Record<string, string>) => parseConfig(outbound, provider, raw);

/** Why a config is refused, or undefined. */
function problem(provider: Provider, raw: Record<string, string>): string | undefined {
  try {
    parse(provider, raw);
  } catch (error) {
    if (error instanceof Fault && error.code === "invalid") return error.message;
    throw error;
  }
}

const HOOK = "https://hooks.example.com/services/CANARY";
const GOOD: Record<Provider, Record<string, string>> = {
  discord: { webhook_url: HOOK },
  slack: { webhook_url: HOOK },
  teams: { webhook_url: HOOK },
  googlechat: { webhook_url: HOOK },
  telegram: { bot_token: "123456:CANARY-abc_DEF", chat_id: "-100200300" },
  matrix: { homeserver_url: "https://matrix.example.com", access_token: "syt_CANARY", room_id: "!abc:example.com" },
  webhook: { url: HOOK, secret: "CANARY" },
};
const REQUIRED: [Provider, string][] = PROVIDERS.flatMap((provider) =>
  Object.keys(GOOD[provider]).flatMap((field): [Provider, string][] => (field === "secret" ? [] : [[provider, field]])),
);

test.for(PROVIDERS.map((provider) => [provider] as const))("a whole config of %s is good (R343)", ([provider]) => {
  const { generated, ...parsed } = parse(provider, { ...GOOD[provider], other: "x" });
  expect({ parsed, generated }).toEqual({ parsed: { provider, config: GOOD[provider] }, generated: null });
  expect(readConfig(storedConfig(parsed))).toEqual(parsed);
});

test.for(REQUIRED)("a config of %s without %s is refused (R343)", ([provider, field]) => {
  const { [field]: _, ...rest } = GOOD[provider];
  expect(problem(provider, rest)).toBe(`config.${field}: is required`);
  expect(problem(provider, { ...rest, [field]: "" })).toBe(`config.${field}: is required`);
  expect(problem(provider, { ...rest, [field]: "   " })).toBe(`config.${field}: is required`);
  expect(problem(provider, { ...rest, [field]: "x".repeat(5_000) })).toMatch(new RegExp(`^config.${field}: `));
});

test.for<[Provider, Record<string, string>]>([
  ...(["discord", "slack", "teams", "googlechat"] as const).flatMap((provider): [Provider, Record<string, string>][] =>
    ["http://hooks.example.com/CANARY", "https://10.0.0.1/CANARY", "CANARY"].map((webhook_url) => [
      provider,
      { webhook_url },
    ]),
  ),
  ["webhook", { url: "http://169.254.169.254/CANARY" }],
  ["webhook", { url: "ftp://example.com/CANARY" }],
  ["webhook", { url: "https://user:CANARY@example.com/" }],
  ["webhook", { url: HOOK, secret: "" }],
  ["matrix", { ...GOOD.matrix, homeserver_url: "http://matrix.example.com/CANARY" }],
  ["matrix", { ...GOOD.matrix, access_token: "CANARY\r\nX-Other: 1" }],
  ["matrix", { ...GOOD.matrix, room_id: "#CANARY:example.com" }],
  ["telegram", { ...GOOD.telegram, bot_token: "CANARY" }],
  ["telegram", { ...GOOD.telegram, bot_token: "1:CANARY/../../x" }],
  ["telegram", { ...GOOD.telegram, chat_id: "CANARY chat" }],
])("%s refuses %j, in words without the value (R343, R360, T10)", ([provider, config]) => {
  expect(problem(provider, config)).toMatch(/^config\.\w+: /);
  expect(problem(provider, config)).not.toContain("CANARY");
});

test("an exempt receiver may speak http, and a webhook may anywhere", () => {
  expect(problem("slack", { webhook_url: "http://chat:8065/hooks/x" })).toBeUndefined();
  expect(problem("webhook", { url: "http://example.com/" })).toBeUndefined();
});

test("a webhook without secret is given one that nobody else has (R347)", () => {
  const made = [parse("webhook", { url: HOOK }), parse("webhook", { url: HOOK })];
  const [one, other] = made.map(({ generated }) => generated);
  expect(one).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(one).not.toBe(other);
  expect(made[0]).toMatchObject({ config: { url: HOOK, secret: one } });
});

test.for<[text: string, name: string | undefined]>([
  ["ops", "ops"],
  ["  Ops Alerts ", "ops-alerts"],
  ["a b\tc", "a-b-c"],
  ["0.x_y-z", "0.x_y-z"],
  ["x".repeat(64), "x".repeat(64)],
  ["x".repeat(65), undefined],
  ["", undefined],
  ["   ", undefined],
  ["-ops", undefined],
  ["ops!", undefined],
  ["öps", undefined],
  ["a/b", undefined],
  ["a\u0000b", undefined],
])("the name %j becomes %j (R346)", ([text, name]) => {
  expect(channelName(text)).toBe(name);
});
