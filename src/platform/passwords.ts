import { scrypt } from "node:crypto";
import type { Passwords } from "#domain/account/ports";
import { sameText } from "#kernel/digest";

/** Cost 2^ln, block size, parallelism, as in the stored string. */
type Cost = { ln: number; r: number; p: number };
export type Derive = (password: string, salt: Uint8Array, cost: Cost) => Promise<Uint8Array>;

/** 32 MiB and about a tenth of a second. Hashes of other costs still verify, and are renewed at the next login. */
const COST: Cost = { ln: 15, r: 8, p: 1 };
const SALT_BYTES = 16;
const KEY_BYTES = 32;
const STORED = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{22,})\$([A-Za-z0-9+/]{43})$/;

const derive: Derive = (password, salt, { ln, r, p }) =>
  new Promise((resolve, reject) => {
    const N = 2 ** ln;
    // scrypt takes 128·N·r bytes; the limit leaves room for what surrounds them.
    const options = { N, r, p, maxmem: 256 * N * r };
    scrypt(password, salt, KEY_BYTES, options, (error, key) => (error ? reject(error) : resolve(key)));
  });

/**
 * scrypt (RFC 7914), in strings like `$scrypt$ln=15,r=8,p=1$salt$key`. Passwords are compared in NFKC, so that two
 * keyboards that compose a letter differently type the same one.
 */
export function makePasswords(work: Derive = derive): Passwords {
  const keyOf = async (password: string, salt: string, cost: Cost) =>
    base64(await work(password.normalize("NFKC"), bytes(salt), cost));
  return {
    async hash(password) {
      const salt = random(SALT_BYTES);
      return `$scrypt$ln=${COST.ln},r=${COST.r},p=${COST.p}$${salt}$${await keyOf(password, salt, COST)}`;
    },
    async verify(password, stored) {
      const known = parse(stored ?? "");
      const { cost, salt, key } = known ?? { cost: COST, salt: random(SALT_BYTES), key: random(KEY_BYTES) };
      const same = sameText(await keyOf(password, salt, cost), key);
      const ok = same && known !== undefined;
      return { ok, stale: ok && (cost.ln !== COST.ln || cost.r !== COST.r || cost.p !== COST.p) };
    },
  };
}

function parse(stored: string): { cost: Cost; salt: string; key: string } | undefined {
  const [, ln, r, p, salt, key] = STORED.exec(stored) ?? [];
  return salt && key ? { cost: { ln: Number(ln), r: Number(r), p: Number(p) }, salt, key } : undefined;
}

const random = (size: number) => base64(crypto.getRandomValues(new Uint8Array(size)));
const base64 = (raw: Uint8Array) => btoa(String.fromCharCode(...raw)).replaceAll("=", "");
const bytes = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
