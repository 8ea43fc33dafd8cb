import { type CryptoKey, calculateJwkThumbprint, importJWK, type JWK } from "jose";
import { Fault } from "#kernel/fault";
import type { JsonObject } from "#kernel/json";

/** The control plane's Ed25519 key, ready to sign and to be shown. */
export type Signer = { privateKey: CryptoKey; publicKey: CryptoKey; publicJwk: JsonObject; kid: string };

const ALGORITHM = "EdDSA";
const signers = new Map<string, Promise<Signer>>();

/** The signer of `SIGNING_KEY`, imported once per isolate; `unavailable` when it is missing or no Ed25519 key. */
export function signerOf(env: { SIGNING_KEY?: string }): Promise<Signer> {
  const text = env.SIGNING_KEY ?? "";
  let signer = signers.get(text);
  if (!signer) {
    signer = load(text);
    signers.set(text, signer);
  }
  return signer;
}

async function load(text: string): Promise<Signer> {
  try {
    const { kty, crv, x, d } = JSON.parse(text) as JWK;
    if (kty !== "OKP" || crv !== "Ed25519" || !x || !d) throw new Error("not a private Ed25519 key");
    const kid = await calculateJwkThumbprint({ kty, crv, x });
    const [privateKey, publicKey] = await Promise.all([
      importJWK({ kty, crv, x, d }, ALGORITHM),
      importJWK({ kty, crv, x }, ALGORITHM),
    ]);
    const publicJwk = { kty, crv, x, kid, alg: ALGORITHM, use: "sig" };
    return { privateKey: privateKey as CryptoKey, publicKey: publicKey as CryptoKey, publicJwk, kid };
  } catch {
    throw new Fault("unavailable", "SIGNING_KEY must be a private Ed25519 key as a JWK");
  }
}
