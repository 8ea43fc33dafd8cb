import { scryptSync } from "node:crypto";
import { expect, test } from "vitest";
import { type Derive, makePasswords } from "#platform/passwords";

/** Derives for real and counts; what it was asked for stays to be looked at. */
function counted() {
  const asked: { cost: unknown; saltBytes: number }[] = [];
  const derive: Derive = async (password, salt, { ln, r, p }) => {
    asked.push({ cost: { ln, r, p }, saltBytes: salt.length });
    return scryptSync(password, salt, 32, { N: 2 ** ln, r, p, maxmem: 256 * 2 ** ln * r });
  };
  return { asked, passwords: makePasswords(derive) };
}

test("a password verifies against its hash alone, and two hashes of it differ", async () => {
  const passwords = makePasswords();
  const [one, other] = [await passwords.hash("correct horse"), await passwords.hash("correct horse")];
  expect(one).toMatch(/^\$scrypt\$ln=15,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  expect(one).not.toBe(other);
  expect(await passwords.verify("correct horse", one)).toEqual({ ok: true, stale: false });
  expect(await passwords.verify("correct horsf", one)).toEqual({ ok: false, stale: false });
  expect(await passwords.verify("", one)).toMatchObject({ ok: false });
});

test("the key is what an independent scrypt derives from the stored parameters", async () => {
  const [, , , salt = "", key] = (await makePasswords().hash("päß wörd 🙂")).split("$");
  const derived = scryptSync("päß wörd 🙂".normalize("NFKC"), Buffer.from(salt, "base64"), 32, {
    ...{ N: 32_768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 },
  });
  expect(derived.toString("base64").replaceAll("=", "")).toBe(key);
});

test("composed and decomposed letters are the same password", async () => {
  const passwords = makePasswords();
  expect(await passwords.verify("cafe\u0301-secret", await passwords.hash("caf\u00e9-secret"))).toMatchObject({
    ok: true,
  });
});

test("a hash of older parameters verifies and is stale", async () => {
  const salt = Buffer.alloc(16, 7);
  const key = scryptSync("old password", salt, 32, { N: 2 ** 14, r: 8, p: 1 });
  const stored = `$scrypt$ln=14,r=8,p=1$${salt.toString("base64").replaceAll("=", "")}$${key.toString("base64").replaceAll("=", "")}`;
  const passwords = makePasswords();
  expect(await passwords.verify("old password", stored)).toEqual({ ok: true, stale: true });
  expect(await passwords.verify("other password", stored)).toEqual({ ok: false, stale: false });
});

test("without a hash, or with one that is none, the same work is done for nothing (R37)", async () => {
  const { asked, passwords } = counted();
  const stored = await passwords.hash("a password");
  asked.length = 0;
  await passwords.verify("a guess here", stored);
  const known = asked.splice(0);
  for (const nothing of [null, "", "$scrypt$", "plain", "$scrypt$ln=15,r=8,p=1$$"]) {
    expect(await passwords.verify("a guess here", nothing)).toEqual({ ok: false, stale: false });
    expect(asked.splice(0)).toEqual(known);
  }
  expect(known).toEqual([{ cost: { ln: 15, r: 8, p: 1 }, saltBytes: 16 }]);
});
