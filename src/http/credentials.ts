/** The ways a caller may say who it is. */
export type CredentialKind = "session" | "api_key" | "host" | "setup" | "transfer";

type Scheme =
  | { type: "apiKey"; in: "header" | "cookie"; name: string; description?: string }
  | { type: "http"; scheme: "bearer"; description?: string };

export const SESSION_COOKIE = "wrenn_sid";
export const CSRF_COOKIE = "wrenn_csrf";
export const CSRF_HEADER = "x-csrf-token";

/** Every kind by its names in documents; a kind with two schemes may be presented in either way. */
export const SCHEMES: Record<CredentialKind, Record<string, Scheme>> = {
  session: {
    sessionAuth: {
      type: "apiKey",
      in: "cookie",
      name: SESSION_COOKIE,
      description:
        "Set by login. Requests that change something also need `X-CSRF-Token`, equal to cookie `wrenn_csrf`.",
    },
  },
  api_key: {
    apiKeyAuth: { type: "apiKey", in: "header", name: "X-API-Key" },
    bearerAuth: { type: "http", scheme: "bearer", description: "An API key, or a token where a surface issues them." },
  },
  host: { hostTokenAuth: { type: "apiKey", in: "header", name: "X-Host-Token" } },
  setup: { setupToken: { type: "apiKey", in: "header", name: "X-Setup-Token" } },
  transfer: {
    transferToken: { type: "http", scheme: "bearer", description: "Given to a host for one upload or one template." },
  },
};

export const schemesOf = (kinds: readonly CredentialKind[]): [name: string, scheme: Scheme][] =>
  kinds.flatMap((kind) => Object.entries(SCHEMES[kind]));
