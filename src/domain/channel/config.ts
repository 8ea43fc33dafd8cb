import { z } from "zod";
import { PROVIDERS, type Provider } from "#domain/channel/values";
import type { Outbound } from "#domain/outbound/ports";
import { Fault } from "#kernel/fault";

const required = (max: number) => z.string("is required").trim().min(1, "is required").max(max, "is too long");
const shaped = (max: number, shape: RegExp, what: string) => required(max).regex(shape, `must be ${what}`);

const ChatHook = z.object({ webhook_url: required(2_000) });

/** What each provider needs (platform section 15); fields it has no use for are dropped. */
const CONFIGS = {
  discord: ChatHook,
  slack: ChatHook,
  teams: ChatHook,
  googlechat: ChatHook,
  telegram: z.object({
    bot_token: shaped(200, /^[0-9]+:[A-Za-z0-9_-]+$/, "a bot's token"),
    chat_id: shaped(64, /^(-?[0-9]+|@[A-Za-z][A-Za-z0-9_]*)$/, "a chat's id or @name"),
  }),
  matrix: z.object({
    homeserver_url: required(2_000),
    access_token: shaped(4_000, /^[\x21-\x7e]+$/, "printable text without spaces"),
    room_id: shaped(255, /^![\x21-\x7e]+$/, "a room's id, which begins with !"),
  }),
  webhook: z.object({
    url: required(2_000),
    secret: z.string("must be text").min(1, "must not be empty").max(500, "is too long").optional(),
  }),
} satisfies Record<Provider, z.ZodObject>;

type Configs = { [P in Provider]: z.infer<(typeof CONFIGS)[P]> };
export type ChatHookConfig = Configs["discord"];
export type WebhookConfig = Configs["webhook"] & { secret: string };
/** A provider with what it needs to be reached. */
export type ChannelConfig =
  | { provider: "discord" | "slack" | "teams" | "googlechat"; config: ChatHookConfig }
  | { provider: "telegram"; config: Configs["telegram"] }
  | { provider: "matrix"; config: Configs["matrix"] }
  | { provider: "webhook"; config: WebhookConfig };

/** A config as a caller gave it; `generated` is the secret that a webhook without one was given. */
export type NewConfig = ChannelConfig & { generated: string | null };

/** The field that holds the address to ask, and whether it must be https. */
const ADDRESSES: Partial<Record<Provider, { field: string; secure: boolean }>> = {
  discord: { field: "webhook_url", secure: true },
  slack: { field: "webhook_url", secure: true },
  teams: { field: "webhook_url", secure: true },
  googlechat: { field: "webhook_url", secure: true },
  matrix: { field: "homeserver_url", secure: true },
  webhook: { field: "url", secure: false },
};

/**
 * The config of a provider, checked (platform R343, R360); a webhook without secret is given one (R347). Throws
 * `invalid` in words that repeat no value.
 */
export function parseConfig(outbound: Outbound, provider: Provider, raw: Record<string, string>): NewConfig {
  const parsed = CONFIGS[provider].safeParse(raw);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Fault("invalid", `config.${issue?.path.join(".")}: ${issue?.message}`);
  }
  const config = parsed.data as Record<string, string>;
  demandAddress(outbound, provider, config);
  const generated = provider === "webhook" && !config.secret ? newSecret() : null;
  return {
    provider,
    config: { ...config, ...(generated && { secret: generated }) },
    generated,
  } as unknown as NewConfig;
}

function demandAddress(outbound: Outbound, provider: Provider, config: Record<string, string>): void {
  const address = ADDRESSES[provider];
  if (!address) return;
  const { field, secure } = address;
  const checked = outbound.check(config[field] ?? "");
  if (!checked.ok) throw new Fault("invalid", `config.${field}: ${checked.message}`);
  const { url, exempt } = checked.value;
  if (secure && !exempt && url.protocol !== "https:") {
    throw new Fault("invalid", `config.${field}: the address must be https`);
  }
}

const SECRET_BYTES = 32;

/** A secret in the form of Standard Webhooks: `whsec_` and the key in base64. */
function newSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  return `whsec_${btoa(String.fromCharCode(...bytes))}`;
}

const Stored = z.object({ provider: z.enum(PROVIDERS), config: z.record(z.string(), z.string()) });

/** The text that is sealed, and back. The provider is inside, so that a config can never be read as another one's. */
export const storedConfig = ({ provider, config }: ChannelConfig): string => JSON.stringify({ provider, config });
export const readConfig = (text: string): ChannelConfig => Stored.parse(JSON.parse(text)) as unknown as ChannelConfig;
