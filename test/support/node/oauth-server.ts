import { createHash, randomBytes } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { CLIENT, type OAuthPerson, type Where } from "./oauth-values.ts";
import { TestServer } from "./test-server.ts";

type Reply = { status?: number; location?: string /** Sent as it is when it is text, else as JSON. */; body: unknown };
type Grant = { person: OAuthPerson; redirectUri: string; challenge: string };

/**
 * An OAuth server that speaks as GitHub does, and is as strict: exact redirect address, PKCE, codes that work once.
 * Whoever opens `/login/oauth/authorize` is asked nothing: `as=LOGIN` says who they are, `deny=1` that they refuse.
 * Tests in another process steer it over HTTP: `PUT /control/people` with a person, `GET /control/tokens` for all access
 * tokens that were given out.
 */
export class OAuthServer {
  readonly #people = new Map<string, OAuthPerson>();
  readonly #codes = new Map<string, Grant>();
  readonly #tokens = new Map<string, OAuthPerson>();
  readonly #redirects: string[];
  readonly #server = new TestServer((request, body, response) => this.#handle(request, body, response));

  constructor(redirects: readonly string[]) {
    this.#redirects = [...redirects];
  }

  /** Listens on 127.0.0.1. `redirects` are the addresses that the client has registered. */
  static async start(redirects: readonly string[] = []): Promise<OAuthServer> {
    const server = new OAuthServer(redirects);
    await server.#server.listen();
    return server;
  }

  get url(): string {
    return this.#server.origin;
  }

  /** Registers another address of the client. */
  allow(redirect: string): void {
    this.#redirects.push(redirect);
  }

  add(person: OAuthPerson): void {
    this.#people.set(person.login, person);
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  #handle(request: IncomingMessage, text: string, response: ServerResponse): void {
    const reply = this.#reply(request, text);
    if (!reply) return;
    const { status = 200, location, body } = reply;
    const isText = typeof body === "string";
    const type = isText ? "text/plain" : "application/json; charset=utf-8";
    response.writeHead(status, { "content-type": type, ...(location && { location }) });
    response.end(isText ? body : JSON.stringify(body));
  }

  #reply({ method, url: target = "", headers }: IncomingMessage, text: string): Reply | undefined {
    const { pathname, searchParams } = new URL(target, this.url);
    switch (`${method} ${pathname}`) {
      case "GET /login/oauth/authorize":
        return this.#authorize(searchParams);
      case "POST /login/oauth/access_token":
        return this.#exchange(headers, new URLSearchParams(text));
      case "GET /user":
        return this.#read("user", headers, ({ id, login, name }) => ({ id, login, name: name ?? null }));
      case "GET /user/emails":
        return this.#read("emails", headers, ({ emails }) => emails);
      case "PUT /control/people": {
        this.add(JSON.parse(text) as OAuthPerson);
        return { body: {} };
      }
      case "GET /control/tokens":
        return { body: [...this.#tokens.keys()] };
      default:
        return { status: 404, body: { message: "Not Found" } };
    }
  }

  #authorize(query: URLSearchParams): Reply {
    const [redirectUri, challenge] = [query.get("redirect_uri") ?? "", query.get("code_challenge") ?? ""];
    const person = this.#people.get(query.get("as") ?? "");
    const sound =
      query.get("client_id") === CLIENT.id &&
      this.#redirects.includes(redirectUri) &&
      query.get("code_challenge_method") === "S256" &&
      /^[\w-]{43}$/.test(challenge);
    if (!sound || !person) return { status: 400, body: { message: "the request is not sound" } };
    const back = new URL(redirectUri);
    back.searchParams.set("state", query.get("state") ?? "");
    if (query.has("deny")) back.searchParams.set("error", "access_denied");
    else {
      const code = randomBytes(10).toString("hex");
      this.#codes.set(code, { person, redirectUri, challenge });
      back.searchParams.set("code", code);
    }
    return { status: 302, location: back.href, body: "" };
  }

  #exchange(headers: IncomingHttpHeaders, form: URLSearchParams): Reply | undefined {
    const grant = this.#codes.get(form.get("code") ?? "");
    this.#codes.delete(form.get("code") ?? "");
    const problem = problemOf(grant, form);
    // GitHub tells of these with status 200.
    if (!grant || problem) return { body: { error: problem, error_description: "canary of the provider" } };
    const token = `gho_${randomBytes(18).toString("hex")}`;
    this.#tokens.set(token, grant.person);
    if (headers.accept !== "application/json") return { body: `access_token=${token}` };
    const body = { access_token: token, token_type: "bearer", scope: "read:user,user:email" };
    return orFailure("token", grant.person, body);
  }

  #read(at: Where, headers: IncomingHttpHeaders, pick: (of: OAuthPerson) => unknown): Reply | undefined {
    const person = this.#tokens.get((headers.authorization ?? "").replace(/^Bearer /, ""));
    if (!headers["user-agent"]) return { status: 403, body: { message: "no User-Agent" } };
    if (!person) return { status: 401, body: { message: "Bad credentials" } };
    return orFailure(at, person, pick(person));
  }
}

function problemOf(grant: Grant | undefined, form: URLSearchParams): string | undefined {
  const verifier = form.get("code_verifier") ?? "";
  const client = form.get("client_id") === CLIENT.id && form.get("client_secret") === CLIENT.secret;
  if (!client) return "incorrect_client_credentials";
  if (grant?.challenge !== createHash("sha256").update(verifier).digest("base64url")) return "bad_verification_code";
  return form.get("redirect_uri") === grant.redirectUri ? undefined : "redirect_uri_mismatch";
}

/** What an endpoint answers to a person; undefined for nothing, ever. */
function orFailure(at: Where, { fail }: OAuthPerson, body: unknown): Reply | undefined {
  switch (fail?.at === at ? fail.how : undefined) {
    case "500":
      return { status: 500, body: { message: "canary of the provider" } };
    case "text":
      return { body: "canary of the provider" };
    case "shape":
      return { body: { access_token: 7, id: "canary of the provider" } };
    case "huge":
      return { body: { ...(body as object), padding: "x".repeat(1024 * 1024) } };
    case "redirect":
      return { status: 307, location: "/elsewhere", body: "" };
    case "silence":
      return undefined;
    default:
      return { body };
  }
}
