import type { IncomingHttpHeaders } from "node:http";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { TestServer } from "#test/node/test-server";

export type ControlCall = { path: string; token: string | undefined; body: Record<string, unknown> };
export type TokenOptions = {
  sandbox?: string;
  act?: string;
  gen?: number;
  audience?: string;
  issuer?: string;
  lifeSeconds?: number;
  /** Null for a token that could be used again and again. */
  jti?: string | null;
};

/** A control plane of a few lines: it registers any host, hears heartbeats and signs tokens. */
export class FakeControlPlane {
  readonly url: string;
  readonly calls: ControlCall[] = [];
  readonly privateKey: CryptoKey;
  /** Status of the next heartbeats; 204 when nothing else was asked for. */
  heartbeatStatus = 204;
  readonly #close: () => Promise<void>;

  constructor(url: string, privateKey: CryptoKey, close: () => Promise<void>) {
    this.url = url;
    this.privateKey = privateKey;
    this.#close = close;
  }

  static async start(port = 0): Promise<FakeControlPlane> {
    const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
    const keys = [{ ...(await exportJWK(publicKey)), kid: "test", alg: "EdDSA" }];
    const server = new TestServer(({ url = "", headers }, text, response) => {
      const [status, body] = answer(control, { path: url, headers, text }, keys);
      response.writeHead(status, { "content-type": "application/json" }).end(body && JSON.stringify(body));
    });
    await server.listen(port);
    const control: FakeControlPlane = new FakeControlPlane(server.origin, privateKey, () => server.close());
    return control;
  }

  /** A token as the control plane signs it; each claim can be another one. */
  token(options: TokenOptions = {}): Promise<string> {
    const { sandbox = "sb_1", act = "use", gen = 1, audience = "host_test", issuer = "longshore" } = options;
    const jti = options.jti === undefined ? crypto.randomUUID() : options.jti;
    return new SignJWT({ act, gen, ...(jti !== null && { jti }) })
      .setProtectedHeader({ alg: "EdDSA", kid: "test" })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(sandbox)
      .setExpirationTime(Math.floor(Date.now() / 1000) + (options.lifeSeconds ?? 50))
      .sign(this.privateKey);
  }

  heard(ending: string): ControlCall[] {
    return this.calls.filter(({ path }) => path.endsWith(ending));
  }

  close(): Promise<void> {
    return this.#close();
  }
}

function answer(
  control: FakeControlPlane,
  { path, headers, text }: { path: string; headers: IncomingHttpHeaders; text: string },
  keys: unknown[],
): [number, unknown?] {
  const body = JSON.parse(text || "{}");
  const token = headers["x-host-token"] as string | undefined;
  control.calls.push({ path, token, body });
  if (path === "/v1/hosts/register") {
    if (body.token === "used") return [401, { error: { code: "unauthorized", message: "unknown token" } }];
    return [201, { host: { id: "host_test" }, token: "jwt-1", refresh_token: "refresh-1", control_keys: { keys } }];
  }
  if (path === "/v1/hosts/auth/refresh") {
    if (body.refresh_token !== "refresh-1") return [401, {}];
    control.heartbeatStatus = 204;
    return [200, { host: { id: "host_test" }, token: "jwt-2", refresh_token: "refresh-2" }];
  }
  return [control.heartbeatStatus];
}
