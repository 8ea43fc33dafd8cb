import type { SecretBox } from "#domain/secret/ports";
import { Fault } from "#kernel/fault";

const VERSION = "v1";
const NONCE_BYTES = 12;

const keys = new Map<string, Promise<CryptoKey>>();

/** AES-256-GCM under `ENCRYPTION_KEY`; the context is authenticated and not stored. */
export function secretBox(env: { ENCRYPTION_KEY?: string }): SecretBox {
  return {
    async seal(text, context) {
      const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
      const sealed = await crypto.subtle.encrypt(
        algorithm(iv, context),
        await keyOf(env),
        new TextEncoder().encode(text),
      );
      return [VERSION, base64(iv), base64(new Uint8Array(sealed))].join(".");
    },
    async open(text, context) {
      const [version, iv, sealed] = text.split(".");
      if (version !== VERSION || !iv || !sealed) throw new Error("not a sealed secret of this version");
      const opened = await crypto.subtle.decrypt(algorithm(bytes(iv), context), await keyOf(env), bytes(sealed));
      return new TextDecoder().decode(opened);
    },
  };
}

function keyOf({ ENCRYPTION_KEY: text = "" }: { ENCRYPTION_KEY?: string }): Promise<CryptoKey> {
  let key = keys.get(text);
  if (!key) {
    key = load(text);
    keys.set(text, key);
  }
  return key;
}

async function load(text: string): Promise<CryptoKey> {
  const raw = /^[A-Za-z0-9+/]{43}=$/.test(text) ? bytes(text) : undefined;
  if (!raw) throw new Fault("unavailable", "ENCRYPTION_KEY must be 32 bytes in base64");
  return crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
}

const algorithm = (iv: Uint8Array<ArrayBuffer>, context: string) => ({
  name: "AES-GCM",
  iv,
  additionalData: new TextEncoder().encode(context),
});
const base64 = (raw: Uint8Array) => btoa(String.fromCharCode(...raw));
const bytes = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
