import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import { randomToken } from "#kernel/digest";

export type LocalSecrets = { SIGNING_KEY: string; SETUP_TOKEN: string; ENCRYPTION_KEY: string };

/** The secrets of a local deployment, made at its first start and kept readable for its owner alone. */
export async function localSecrets(dataDir: string): Promise<LocalSecrets> {
  const file = join(dataDir, "secrets.json");
  const known = readSecrets(file);
  if (known?.ENCRYPTION_KEY) return known as LocalSecrets;
  const secrets = {
    SIGNING_KEY: await newSigningKey(),
    SETUP_TOKEN: randomToken(),
    ENCRYPTION_KEY: newEncryptionKey(),
    ...known,
  };
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  writeFileSync(file, JSON.stringify(secrets), { mode: 0o600 });
  return secrets;
}

function readSecrets(file: string): Partial<LocalSecrets> | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Partial<LocalSecrets>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
}

/** 32 random bytes in base64. */
export const newEncryptionKey = (): string => randomBytes(32).toString("base64");

/** A private Ed25519 key as a JWK. */
export async function newSigningKey(): Promise<string> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return JSON.stringify(await exportJWK(privateKey));
}
