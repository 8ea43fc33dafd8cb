import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TokenReader } from "#sandbox/host-agent/tokens";

async function newKeys() {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  return { privateKey, set: { keys: [{ ...(await exportJWK(publicKey)), kid: "test", alg: "EdDSA" }] } };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: 1_800_000_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

async function world() {
  const { privateKey, set } = await newKeys();
  const identity = { hostId: "host_1", keys: set };
  const reader = new TokenReader(() => ({ ...identity }));
  const token = await new SignJWT({ act: "use", gen: 1 })
    .setProtectedHeader({ alg: "EdDSA", kid: "test" })
    .setIssuer("longshore")
    .setAudience("host_1")
    .setSubject("sb_1")
    .setExpirationTime(Date.now() / 1000 + 50)
    .sign(privateKey);
  return { identity, read: () => reader.read(`Bearer ${token}`) };
}

test("H5: a token that was verified before is refused once it has expired", async () => {
  const { read } = await world();
  expect(await read()).toMatchObject({ sub: "sb_1", gen: 1 });
  vi.setSystemTime(Date.now() + 49_000);
  expect(await read()).toMatchObject({ sub: "sb_1", gen: 1 });
  vi.setSystemTime(Date.now() + 7_000);
  await expect(read()).rejects.toMatchObject({ code: "unauthorized" });
});

test("H5: a used token is remembered until it has expired, and no more of them than there is room for", () => {
  const reader = new TokenReader(() => undefined);
  const claims = (jti: string | undefined, lifeSeconds = 50) =>
    ({ sub: "sb_1", act: "lifecycle", gen: 1, jti, exp: Date.now() / 1000 + lifeSeconds }) as const;
  const first = claims("a");
  reader.spend(first);
  expect(() => reader.spend(first)).toThrow("used already");
  expect(() => reader.spend(claims(undefined))).toThrow("used already");
  for (let i = 1; i < 10_000; i++) reader.spend(claims(`b${i}`));
  expect(() => reader.spend(claims("one too many"))).toThrow("too many");
  vi.setSystemTime(Date.now() + 56_000);
  reader.spend(claims("one too many"));
  expect(() => reader.spend(claims("one too many"))).toThrow("used already");
});

test.for([
  ["other keys", async () => ({ keys: (await newKeys()).set })],
  ["another identity", async () => ({ hostId: "host_2" })],
] as const)("H5: a token that was verified before is refused once the host has %s", async ([, change]) => {
  const { identity, read } = await world();
  await read();
  Object.assign(identity, await change());
  await expect(read()).rejects.toMatchObject({ code: "unauthorized" });
});
