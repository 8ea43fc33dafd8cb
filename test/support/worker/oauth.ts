import { env } from "cloudflare:workers";
import { inject } from "vitest";
import { CLIENT, type OAuthPerson } from "#test/node/oauth-values";
import { type Answer, call } from "#test/worker/harness";

declare module "vitest" {
  interface ProvidedContext {
    oauthServerUrl: string;
  }
}

export const START = "/auth/oauth/github";
export const CALLBACK = "/auth/oauth/github/callback";
/** Where the browser is sent in the end. */
export const PAGE = "http://longshore.test/auth/github/callback";

/** Settings by which the deployment is a client of the server under test. */
export const oauthSettings = (): Record<string, string> => ({
  OAUTH_GITHUB_CLIENT_ID: CLIENT.id,
  OAUTH_GITHUB_CLIENT_SECRET: CLIENT.secret,
  OAUTH_GITHUB_AUTHORIZE_URL: `${inject("oauthServerUrl")}/login/oauth/authorize`,
  OAUTH_GITHUB_TOKEN_URL: `${inject("oauthServerUrl")}/login/oauth/access_token`,
  OAUTH_GITHUB_API_URL: inject("oauthServerUrl"),
});

/** Makes it a client for the tests of this file; settings are read from the environment at each request. */
export function useOAuthServer(settings: Record<string, string> = {}): void {
  for (const [name, value] of Object.entries({ ...oauthSettings(), ...settings })) Reflect.set(env, name, value);
}

let people = 0;

/** Somebody who has an account at the provider; by default one with a verified primary e-mail. */
export async function somebody(options: Partial<OAuthPerson> = {}): Promise<OAuthPerson> {
  const id = Date.now() * 100 + people++;
  const login = options.login ?? `octo-${id}`;
  const emails = [{ email: `${login}@example.test`, primary: true, verified: true }];
  const somebody = { id, login, name: "Mona Lisa", emails, ...options };
  const url = `${inject("oauthServerUrl")}/control/people`;
  const { ok } = await fetch(url, { method: "PUT", body: JSON.stringify(somebody) });
  if (!ok) throw new Error("the server refused the person");
  return somebody;
}

/** Every access token that the provider gave out. */
export async function tokensOfProvider(): Promise<string[]> {
  return (await fetch(`${inject("oauthServerUrl")}/control/tokens`)).json();
}

/** Name, value and attributes of each cookie that an answer sets. */
export function cookiesOf({ headers }: Answer): Record<string, { value: string; attributes: string[] }> {
  const pairs = headers.getSetCookie().map((line) => {
    const [pair = "", ...attributes] = line.split("; ");
    const at = pair.indexOf("=");
    return [pair.slice(0, at), { value: pair.slice(at + 1), attributes }] as const;
  });
  return Object.fromEntries(pairs);
}

let addresses = 0;
/** An address of its own for each browser, so that their limits are their own. */
export const newAddress = () => `198.51.100.${++addresses % 250}`;

/** A browser that keeps what it is sent. It starts with `cookies`. */
export class OAuthBrowser {
  readonly jar: Map<string, string>;
  readonly #address = newAddress();

  constructor(cookies: Record<string, string> = {}) {
    this.jar = new Map(Object.entries(cookies));
  }

  async get(path: string): Promise<Answer> {
    const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { "cf-connecting-ip": this.#address, "user-agent": "browser/1", ...(cookie && { cookie }) };
    const answer = await call("GET", path, { headers });
    for (const [name, { value }] of Object.entries(cookiesOf(answer))) {
      if (value === "") this.jar.delete(name);
      else this.jar.set(name, value);
    }
    return answer;
  }

  /** Leaves for the provider. */
  async leave(path = START): Promise<string> {
    return (await this.get(path)).headers.get("location") ?? "";
  }

  /** What the provider sends somebody back with, as a path of ours. */
  async atProvider(authUrl: string, person: OAuthPerson, deny = false): Promise<string> {
    const url = new URL(authUrl);
    url.searchParams.set("as", person.login);
    if (deny) url.searchParams.set("deny", "1");
    const answer = await fetch(url, { redirect: "manual" });
    const back = new URL(answer.headers.get("location") ?? "");
    return back.pathname + back.search;
  }

  /** The whole way of a login. */
  async login(person: OAuthPerson, path = START): Promise<Answer> {
    return this.get(await this.atProvider(await this.leave(path), person));
  }
}

/** The code that a callback told the web app, or null for success; anything but our page is an error. */
export function outcomeOf(answer: Answer): string | null {
  const location = answer.headers.get("location") ?? "";
  if (answer.status !== 302 || (location !== PAGE && !location.startsWith(`${PAGE}?error=`))) {
    throw new Error(`${answer.status} ${location}`);
  }
  return new URL(location).searchParams.get("error");
}
