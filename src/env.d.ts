/** Secrets and optional settings, which wrangler.toml does not declare. */
interface __BaseEnv_Env {
  /** Private Ed25519 key as a JWK; signs the control plane's short-lived tokens. */
  SIGNING_KEY?: string;
  /** Opens the local set-up operations; absent on a deployment that is set up. */
  SETUP_TOKEN?: string;
  /** 32 bytes in base64; seals the secrets that users store, and letters until they are sent. */
  ENCRYPTION_KEY?: string;
  /** Objects of another Worker that hold containers by the SDK's class; see wrangler.sdk.toml. */
  SDK_CONTAINERS?: DurableObjectNamespace;
  /** Origins of web apps that may use sessions beside the deployment's own, separated by commas. */
  APP_ORIGINS?: string;
  /** Connects to public addresses only; bound by local servers, where the edge does not see to that. */
  OUTBOUND?: Fetcher;
  /** Receivers of notifications that need not be public: `host:port`, separated by commas. */
  OUTBOUND_ALLOW?: string;
  /** Ports that notifications may be sent to, separated by commas; 80, 443, 8080 and 8443 by default. */
  OUTBOUND_PORTS?: string;
  /** Where Telegram's bot API is, for those who run their own. */
  TELEGRAM_API_URL?: string;
  /** Origin of the web app, such as `https://app.example.com`, to which letters link. */
  APP_URL?: string;
  /** Largest sizes of a sandbox; see `domain/sandbox/limits`. */
  MAX_VCPUS?: string;
  MAX_MEMORY_MB?: string;
  MAX_DISK_MB?: string;
  /** Header in which the reverse proxy in front of a server of one's own writes who called it. */
  TRUSTED_PROXY_HEADER?: string;
  /** Domain below which ports of sandboxes are shown, such as `preview.example.net`; `localhost` always works locally. */
  PREVIEW_DOMAIN?: string;
  /** What sandboxes may reach outside: `off` (the default), `public`, or names separated by commas. */
  SANDBOX_EGRESS?: string;
  /** Sender of letters, an address the e-mail binding may send from; without it letters stay in the outbox. */
  MAIL_FROM?: string;
  /** A GitHub OAuth app, by which people log in; without both there is no such login. */
  OAUTH_GITHUB_CLIENT_ID?: string;
  OAUTH_GITHUB_CLIENT_SECRET?: string;
  /** Endpoints of another server that speaks like GitHub, such as a GitHub Enterprise one. */
  OAUTH_GITHUB_AUTHORIZE_URL?: string;
  OAUTH_GITHUB_TOKEN_URL?: string;
  OAUTH_GITHUB_API_URL?: string;
  /** Base of the web app that shows how a login at a provider ended; by default the deployment itself. */
  OAUTH_REDIRECT_URL?: string;
}

/** The one thing of Node that no Web API has; the Workers runtime offers it under the same name. */
declare module "node:crypto" {
  type ScryptOptions = { N: number; r: number; p: number; maxmem: number };
  type Done = (error: Error | null, key: Uint8Array) => void;
  export function scrypt(password: string, salt: Uint8Array, size: number, options: ScryptOptions, done: Done): void;
}
