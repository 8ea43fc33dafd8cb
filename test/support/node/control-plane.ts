import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";

export type ControlCall = { path: string; token: string | undefined; body: Record<string, unknown> };
export type TokenOptions = {
  sandbox?: string;
  act?: string;
  gen?: number;
  audience?: string;
  issuer?: string;
  lifeSeconds?: number;
};

/** A control plane of a few lines: it registers any host, hears heartbeats and signs tokens. */
export class FakeControlPlane {
  readonly url: string;
  readonly calls: ControlCall[] = [];
  readonly privateKey: CryptoKey;
  /** Status of the next heartbeats; 204 when nothing else was asked for. */
  heartbeatStatus = 204;
  readonly #close: () => void;

  constructor(url: string, privateKey: CryptoKey, close: () => void) {
    this.url = url;
    this.privateKey = privateKey;
    this.#close = close;
  }

  static async start(port = 0): Promise<FakeControlPlane> {
    const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
    const keys = [{ ...(await exportJWK(publicKey)), kid: "test", alg: "EdDSA" }];
    const server = createServer((request, response) => {
      void answer(control, request, keys).then(([status, body]) => {
        response.writeHead(status, { "content-type": "application/json" }).end(body && JSON.stringify(body));
      });
    });
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const control: FakeControlPlane = new FakeControlPlane(url, privateKey, () => {
      server.closeAllConnections();
      server.close();
    });
    return control;
  }

  /** A token as the control plane signs it; each claim can be another one. */
  token(options: TokenOptions = {}): Promise<string> {
    const { sandbox = "sb_1", act = "use", gen = 1, audience = "host_test", issuer = "longshore" } = options;
    return new SignJWT({ act, gen })
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

  close(): void {
    this.#close();
  }
}

async function answer(
  control: FakeControlPlane,
  request: IncomingMessage,
  keys: unknown[],
): Promise<[number, unknown?]> {
  const body = JSON.parse((await text(request)) || "{}");
  const path = request.url ?? "";
  const token = request.headers["x-host-token"] as string | undefined;
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
