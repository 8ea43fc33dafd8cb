import * as oauth from "oauth4webapi";
import { z } from "zod";
import type { OAuthIdentity, OAuthProvider } from "#domain/oauth/ports";
import { accountName } from "#domain/oauth/values";
import { SECOND } from "#kernel/time";
import { type BoundedFetch, boundedFetch } from "#platform/oauth/bounded-fetch";

export type GitHubSettings = {
  OAUTH_GITHUB_CLIENT_ID?: string;
  OAUTH_GITHUB_CLIENT_SECRET?: string;
  OAUTH_GITHUB_AUTHORIZE_URL?: string;
  OAUTH_GITHUB_TOKEN_URL?: string;
  OAUTH_GITHUB_API_URL?: string;
};

const SCOPE = "read:user user:email";
const TIMEOUT_MS = 10 * SECOND;
/** GitHub refuses requests that do not say what sends them. */
const HEADERS = { "user-agent": "longshore" };

const Person = z.object({ id: z.int().positive(), login: z.string(), name: z.string().nullish() });
const Emails = z.array(z.object({ email: z.string(), primary: z.boolean(), verified: z.boolean() }));

/** GitHub, or a server that speaks like it; undefined unless the deployment has a client there. */
export function gitHub(settings: GitHubSettings, timeoutMs = TIMEOUT_MS): OAuthProvider | undefined {
  const { OAUTH_GITHUB_CLIENT_ID: id, OAUTH_GITHUB_CLIENT_SECRET: secret } = settings;
  if (!id || !secret) return undefined;
  const server = serverOf(settings);
  const api = (settings.OAUTH_GITHUB_API_URL || "https://api.github.com").replace(/\/+$/, "");
  return {
    async authorize(redirectUri) {
      const [state, verifier] = [oauth.generateRandomState(), oauth.generateRandomCodeVerifier()];
      const url = new URL(server.authorization_endpoint);
      const parameters = {
        response_type: "code",
        client_id: id,
        redirect_uri: redirectUri,
        scope: SCOPE,
        state,
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
      };
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
      return { authUrl: url.href, state, verifier };
    },
    async identify(answer) {
      const call = boundedFetch(AbortSignal.timeout(timeoutMs));
      try {
        const token = await exchange(server, { id, secret }, answer, call);
        return { ok: true, identity: await readPerson(api, token, call) };
      } catch (error) {
        return { ok: false, reason: reasonOf(error) };
      }
    },
  };
}

const serverOf = (settings: GitHubSettings) => ({
  issuer: "https://github.com",
  authorization_endpoint: settings.OAUTH_GITHUB_AUTHORIZE_URL || "https://github.com/login/oauth/authorize",
  token_endpoint: settings.OAUTH_GITHUB_TOKEN_URL || "https://github.com/login/oauth/access_token",
});

/** The access token for a code. It is used for a moment and stored nowhere. */
async function exchange(
  server: ReturnType<typeof serverOf>,
  { id, secret }: { id: string; secret: string },
  { code, state, verifier, redirectUri }: Parameters<OAuthProvider["identify"]>[0],
  call: BoundedFetch,
): Promise<string> {
  const client = { client_id: id };
  const returned = oauth.validateAuthResponse(server, client, new URLSearchParams({ code, state }), state);
  const options = { ...optionsFor(server.token_endpoint, call), headers: HEADERS };
  const response = await oauth.authorizationCodeGrantRequest(
    ...([server, client, oauth.ClientSecretPost(secret), returned, redirectUri, verifier, options] as const),
  );
  // GitHub tells of a wrong code with status 200; an answer without a token is refused here all the same.
  return (await oauth.processAuthorizationCodeResponse(server, client, response)).access_token;
}

async function readPerson(api: string, token: string, call: BoundedFetch): Promise<OAuthIdentity> {
  const read = async <S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>> => {
    const url = new URL(api + path);
    const headers = new Headers({ ...HEADERS, accept: "application/vnd.github+json" });
    const options = optionsFor(url.href, call);
    const response = await oauth.protectedResourceRequest(token, "GET", url, headers, null, options);
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    return schema.parse(await response.json());
  };
  const [person, emails] = await Promise.all([read("/user", Person), read("/user/emails", Emails)]);
  const verified = emails.find((one) => one.primary && one.verified);
  return {
    subject: String(person.id),
    name: accountName(person.name, person.login),
    email: verified?.email ?? null,
  };
}

/** Tokens travel over plain http to this machine alone, where a server under test may be. */
function optionsFor(url: string, call: BoundedFetch) {
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(new URL(url).hostname);
  return { [oauth.customFetch]: call, ...(local && { [oauth.allowInsecureRequests]: true as const }) };
}

/** Names a failure without quoting the provider: what it sent may hold a token. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
