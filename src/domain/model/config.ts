import { z } from "zod";

const PROVIDERS = ["openai", "openai-compatible", "anthropic", "workers-ai"] as const;

/** Reference of the model that is always there and needs no key. */
export const SHELL_REF = "builtin/shell";
const PLATFORM_PREFIX = "platform/";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$/;
const SECRET_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,99}$/;

const hasNoCredentials = (url: string): boolean => {
  const parsed = URL.parse(url);
  return parsed === null || (parsed.username === "" && parsed.password === "");
};

const ModelConfig = z.strictObject({
  provider: z.enum(PROVIDERS),
  /** The provider's own name of the model. */
  model: z.string().min(1),
  /** Base URL, for example `https://host/v1`. Users get to see it, so it holds no credentials. */
  url: z
    .url({ protocol: /^https?$/ })
    .refine(hasNoCredentials, "must not hold a user name or password; use key")
    .optional(),
  /** Name of the secret that holds the key, never the key itself. */
  key: z
    .string()
    .regex(SECRET_NAME, "must be the name of a secret, such as OPENAI_API_KEY, not the key itself")
    .optional(),
  contextWindow: z.int().positive().optional(),
  headers: z.record(z.string(), z.string()).optional(),
});
export type ModelConfig = z.infer<typeof ModelConfig>;

const ModelsConfig = z.strictObject({
  default: z.string().optional(),
  models: z.record(z.string().regex(NAME, "a model's name may hold letters, digits and . _ : -"), ModelConfig),
});

export type Models = { defaultRef: string; models: ReadonlyMap<string, ModelConfig> };

/**
 * Reads the MODELS setting. Empty text means no models but `builtin/shell`, which is then the default; without a
 * `default` the first model is it. Throws an Error that names the field and what is wrong with it, never its value.
 */
export function parseModels(text: string): Models {
  if (text.trim() === "") return { defaultRef: SHELL_REF, models: new Map() };
  const parsed = ModelsConfig.safeParse(parseJson(text));
  if (!parsed.success) throw new Error(`MODELS is not valid: ${parsed.error.issues.map(describe).join("; ")}`);
  const models = new Map(Object.entries(parsed.data.models));
  for (const [name, config] of models) demandComplete(name, config);
  return { defaultRef: defaultRef(parsed.data.default, models), models };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('MODELS is not valid: it must be JSON such as {"default":"main","models":{"main":{...}}}');
  }
}

function describe(issue: z.core.$ZodIssue): string {
  const message = issue.code === "invalid_key" ? issue.issues[0]?.message : undefined;
  return `${issue.path.map(String).join(".") || "the top level"}: ${message ?? issue.message}`;
}

function demandComplete(name: string, { provider, url, key }: ModelConfig): void {
  const missing = (field: string, why: string) => new Error(`MODELS is not valid: models.${name}.${field}: ${why}`);
  if (provider === "openai-compatible" && !url) throw missing("url", "openai-compatible needs the server's base URL");
  if ((provider === "openai" || provider === "anthropic") && !key) {
    throw missing("key", `${provider} needs the name of the secret that holds its key`);
  }
}

function defaultRef(wanted: string | undefined, models: ReadonlyMap<string, ModelConfig>): string {
  const [first] = models.keys();
  const ref = canonicalRef(wanted ?? first ?? SHELL_REF);
  if (ref === SHELL_REF || models.has(modelName(ref))) return ref;
  throw new Error(
    `MODELS is not valid: default: there is no model "${wanted}" among ${[...models.keys()].join(", ") || "none"}`,
  );
}

/** `platform/NAME` for a bare name; full references stay as they are. */
export const canonicalRef = (ref: string): string =>
  ref === SHELL_REF || ref.startsWith(PLATFORM_PREFIX) ? ref : PLATFORM_PREFIX + ref;

/** The name in a `platform/NAME` reference. */
export const modelName = (ref: string): string => ref.slice(PLATFORM_PREFIX.length);
