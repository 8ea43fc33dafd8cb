import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import { randomToken } from "#kernel/digest";

export type LocalSecrets = { SIGNING_KEY: string; SETUP_TOKEN: string };

/** The secrets of a local deployment, made at its first start and kept readable for its owner alone. */
export async function localSecrets(dataDir: string): Promise<LocalSecrets> {
  const file = join(dataDir, "secrets.json");
  try {
    return JSON.parse(readFileSync(file, "utf8")) as LocalSecrets;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const secrets = { SIGNING_KEY: JSON.stringify(await exportJWK(privateKey)), SETUP_TOKEN: randomToken() };
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  writeFileSync(file, JSON.stringify(secrets), { mode: 0o600 });
  return secrets;
}
