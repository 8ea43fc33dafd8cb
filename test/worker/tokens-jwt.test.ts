import { env } from "cloudflare:workers";
import { exportSPKI, importJWK, type JWK, SignJWT } from "jose";
import { beforeAll, expect, test } from "vitest";
import { call } from "#test/worker/harness";
import { World } from "#test/worker/seed";

const DAY_S = 86_400;
let world: World;
let hostId: string;
let good: string;

beforeAll(async () => {
  world = await World.create();
  hostId = await world.id("host");
  good = (await world.headers("host token"))["x-host-token"] ?? "";
}, 60_000);

const beat = async (token: string) =>
  (await call("POST", `/v1/hosts/${hostId}/heartbeat`, { headers: { "x-host-token": token } })).status;
const encode = (value: unknown) =>
  btoa(typeof value === "string" ? value : JSON.stringify(value))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
const decode = (part = "") => JSON.parse(atob(part.replaceAll("-", "+").replaceAll("_", "/")));

/** The good token's header and claims, changed, and signed with the product's own key, whatever they have become. */
async function signed(header: object, claims: object): Promise<string> {
  const [head, payload] = good.split(".");
  const key = (await importJWK(JSON.parse(env.SIGNING_KEY ?? "") as JWK, "EdDSA")) as CryptoKey;
  const text = `${encode({ ...decode(head), ...header })}.${encode({ ...decode(payload), ...claims })}`;
  const signature = await crypto.subtle.sign("Ed25519", key, new TextEncoder().encode(text));
  return `${text}.${encode(String.fromCharCode(...new Uint8Array(signature)))}`;
}

test("the token these tests change is good, also signed anew", async () => {
  expect(await beat(good)).toBe(204);
  expect(await beat(await signed({}, {}))).toBe(204);
});

test.for<[why: string, header: object, claims: object]>([
  ["another type", { typ: "JWT" }, {}],
  ["no type", { typ: undefined }, {}],
  ["another audience", {}, { aud: "user" }],
  ["no audience", {}, { aud: undefined }],
  ["another issuer", {}, { iss: "elsewhere" }],
  ["no issuer", {}, { iss: undefined }],
  ["no subject", {}, { sub: undefined }],
  ["a subject that is no host", {}, { sub: "usr_0000000000abcdefghjk" }],
  ["no expiry", {}, { exp: undefined }],
  ["an expiry that is past by more than the skew", {}, { exp: Math.floor(Date.now() / 1_000) - 61 }],
  ["an expiry that is text", {}, { exp: "9999999999" }],
  ["a beginning that is to come", {}, { nbf: Math.floor(Date.now() / 1_000) + DAY_S }],
  ["another family", {}, { fam: 99 }],
  ["no family", {}, { fam: undefined }],
  ["a critical header nobody knows", { crit: ["x-longshore"], "x-longshore": 1 }, {}],
])("a token with %s, well signed, is refused (T6)", async ([, header, claims]) => {
  const token = await signed(header, claims);
  expect(await beat(token)).toBe(401);
});

test("no algorithm but the one is taken, and no key that the token brings (T6)", async () => {
  const [head, payload] = good.split(".");
  const own = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
  const jwk = (await crypto.subtle.exportKey("jwk", own.publicKey)) as JWK;
  const mine = JSON.parse(env.SIGNING_KEY ?? "") as JWK & { d?: string; x?: string };
  const { d: _, ...publicJwk } = mine;
  const publicKey = await importJWK({ ...publicJwk, ext: true }, "EdDSA", { extractable: true });
  const pem = await exportSPKI(publicKey as CryptoKey);
  const hmac = (secret: string) =>
    new SignJWT(decode(payload))
      .setProtectedHeader({ ...decode(head), alg: "HS256" })
      .sign(new TextEncoder().encode(secret.padEnd(32, "x")));
  const foreign = (header: object) =>
    new SignJWT(decode(payload)).setProtectedHeader({ ...decode(head), ...header }).sign(own.privateKey);
  const none = ["none", "None", "NONE", "nOnE", ""].map((alg) => `${encode({ ...decode(head), alg })}.${payload}.`);
  const forged = [
    ...none,
    `${head}.${payload}.`,
    `${head}.${payload}.${encode("x".repeat(64))}`,
    await hmac(pem),
    await hmac(mine.x ?? ""),
    await hmac(JSON.stringify(publicJwk)),
    await foreign({}),
    await foreign({ jwk }),
    await foreign({ jku: "https://evil.example/keys" }),
    await foreign({ x5u: "https://evil.example/cert", x5c: [encode("cert")] }),
    await foreign({ kid: "../../dev/null" }),
    await foreign({ kid: "' UNION SELECT 'x" }),
    `${head}.${encode({ ...decode(payload), sub: "host_0000000000abcdefghjk" })}.${good.split(".")[2]}`,
  ];
  for (const token of forged) expect(await beat(token), token.slice(0, 80)).toBe(401);
});

test("what is no token is refused as one (T6, I1)", async () => {
  const odd = ["", ".", "..", "a.b.c", `${good}.x`, `${good}=`, `x${good}`, "x".repeat(8_000), "null.null.null"];
  for (const token of [...odd, `Bearer ${good}`]) expect(await beat(token), token.slice(0, 40)).toBe(401);
});

test("kinds of credentials do not cross (T4)", async () => {
  const { token: sid, csrf } = world.owner;
  const key = (await world.headers("key"))["x-api-key"] ?? "";
  const refresh = (await world.headers("host refresh token"))["x-host-token"] ?? "";
  const secrets = { session: sid, csrf, key, host: good, refresh };
  const places: Record<string, [path: string, headers: (secret: string) => Record<string, string>]> = {
    session: ["/v1/me", (secret) => ({ cookie: `wrenn_sid=${secret}` })],
    key: ["/api/v1/workspaces", (secret) => ({ "x-api-key": secret })],
    bearer: ["/api/v1/workspaces", (secret) => ({ authorization: `Bearer ${secret}` })],
    host: ["/api/v1/workspaces", (secret) => ({ "x-host-token": secret })],
  };
  const opens: string[] = [];
  for (const [kind, secret] of Object.entries(secrets)) {
    for (const [place, [path, headers]] of Object.entries(places)) {
      const { status } = await call("GET", path, { headers: headers(secret) });
      expect([200, 401], `${kind} as ${place}`).toContain(status);
      if (status === 200) opens.push(`${kind} as ${place}`);
    }
    if (kind !== "host") expect(await beat(secret), `${kind} as host token`).toBe(401);
    if (kind === "refresh") continue;
    const body = { refresh_token: secret };
    expect((await call("POST", "/v1/hosts/auth/refresh", { body })).status, `${kind} as refresh token`).toBe(401);
  }
  expect(opens).toEqual(["session as session", "key as key", "key as bearer"]);
});
