import fc from "fast-check";
import { expect, test } from "vitest";
import { DEFAULT_PORTS, type GuardSettings, guardUrl, isPublicHost } from "#domain/outbound/guard";
import { MAX_RETRY_AFTER_MS, retryAfterMs } from "#domain/outbound/retry-after";
import { ALLOWED_URLS, REFUSED_URLS } from "#test/node/ssrf-corpus";

const settings: GuardSettings = { allow: new Set(), ports: new Set(DEFAULT_PORTS) };
const isAllowed = (url: string) => guardUrl(url, settings).ok;

test.for(REFUSED_URLS.map((url) => [url]))("%j is refused (R360, W2)", ([url]) => {
  const result = guardUrl(url!, settings);
  expect(result).toMatchObject({ ok: false, code: "invalid" });
  // The words must not repeat what may hold a secret.
  if (!result.ok && url!.length > 12) expect(result.message).not.toContain(url);
});

test.for(ALLOWED_URLS.map((url) => [url]))("%j is allowed (R360)", ([url]) => {
  expect(guardUrl(url!, settings)).toMatchObject({ ok: true });
});

test("the corpus has at least the 59 strings that were tried", () => {
  expect(new Set(REFUSED_URLS).size).toBeGreaterThanOrEqual(59);
});

/** Blocks that are not public, as base address and prefix length, written out apart from the code under test. */
const CLOSED_V4: [number, number][] = [
  ...[0x00000000, 0x0a000000, 0x7f000000].map((base): [number, number] => [base, 8]),
  [0x64400000, 10],
  [0xa9fe0000, 16],
  [0xac100000, 12],
  [0xc0000000, 24],
  [0xc0a80000, 16],
  [0xc6120000, 15],
  [0xe0000000, 3],
];
const closedV4 = fc
  .constantFrom(...CLOSED_V4)
  .chain(([base, bits]) => fc.nat(2 ** (32 - bits) - 1).map((rest) => base + rest));
const octets = (address: number) => [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256);
const dotted = (address: number) => octets(address).join(".");

/** Every way to write an IPv4 address that the URL standard reads. */
const SPELLINGS: ((address: number) => string)[] = [
  dotted,
  String,
  (a) => `0x${a.toString(16)}`,
  (a) => `0${a.toString(8)}`,
  (a) =>
    octets(a)
      .map((o) => `0x${o.toString(16)}`)
      .join("."),
  (a) =>
    octets(a)
      .map((o) => `0${o.toString(8)}`)
      .join("."),
  (a) => `${octets(a)[0]}.${a % 2 ** 24}`,
  (a) => `${octets(a).slice(0, 2).join(".")}.${a % 2 ** 16}`,
  (a) => `${dotted(a)}.`,
  (a) => dotted(a).replaceAll(".", "。"),
  (a) => dotted(a).replace(/[0-9]/g, (d) => String.fromCodePoint(0xff10 + Number(d))),
];
const pairs = (address: number) => `${Math.floor(address / 65536).toString(16)}:${(address % 65536).toString(16)}`;
const EMBEDDINGS: ((address: number) => string)[] = [
  (a) => `[::ffff:${dotted(a)}]`,
  (a) => `[::ffff:${pairs(a)}]`,
  (a) => `[0:0:0:0:0:FFFF:${pairs(a)}]`,
  (a) => `[::${dotted(a)}]`,
  (a) => `[::ffff:0:${pairs(a)}]`,
  (a) => `[64:ff9b::${dotted(a)}]`,
  (a) => `[64:ff9b:1::${pairs(a)}]`,
  (a) => `[2002:${pairs(a)}::1]`,
  (a) => `[2001:0:${pairs(a)}::1]`,
];

test("no IPv4 address inside a closed block passes, however it is written (W2)", () => {
  fc.assert(
    fc.property(closedV4, fc.constantFrom(...SPELLINGS, ...EMBEDDINGS), (address, spell) => {
      expect(isAllowed(`http://${spell(address)}/`)).toBe(false);
    }),
    { numRuns: 3_000 },
  );
});

test("every IPv4 address outside the closed blocks and the documentation ones passes", () => {
  const inside = (address: number) =>
    CLOSED_V4.some(([base, bits]) => address >= base && address < base + 2 ** (32 - bits));
  const other = /^(192\.0\.2|198\.51\.100|203\.0\.113|192\.88\.99|192\.52\.193|192\.31\.196|192\.175\.48)\./;
  const open = fc.nat(2 ** 32 - 1).filter((address) => !inside(address) && !other.test(dotted(address)));
  fc.assert(
    fc.property(open, fc.constantFrom(...SPELLINGS), (address, spell) => {
      expect(isAllowed(`http://${spell(address)}/`)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test("no IPv6 address outside global unicast passes, in full, short or upper-case form (W2)", () => {
  const group = fc.nat(0xffff);
  const first = fc.nat(0xffff).filter((value) => value >> 13 !== 1);
  const address = fc.tuple(first, fc.array(group, { minLength: 7, maxLength: 7 }));
  fc.assert(
    fc.property(address, fc.boolean(), ([head, rest], upper) => {
      const text = [head, ...rest].map((value) => value.toString(16)).join(":");
      expect(isAllowed(`http://[${upper ? text.toUpperCase() : text}]/`)).toBe(false);
    }),
    { numRuns: 1_000 },
  );
});

test("a port is checked, and an exempt receiver is exempt on its own port alone (R360)", () => {
  const open: GuardSettings = { allow: new Set(["127.0.0.1:9000", "[::1]:9000", "chat:8065"]), ports: new Set([443]) };
  const passes = (url: string) => guardUrl(url, open).ok;
  for (const url of ["http://127.0.0.1:9000/x", "http://127.1:9000/", "http://[::1]:9000/", "http://chat:8065/"]) {
    expect(passes(url), url).toBe(true);
  }
  for (const url of [
    "http://127.0.0.1:9001/",
    "http://127.0.0.2:9000/",
    "http://u@127.0.0.1:9000/",
    "ws://chat:8065/",
  ]) {
    expect(passes(url), url).toBe(false);
  }
  expect(passes("https://example.com/")).toBe(true);
  expect(passes("http://example.com/")).toBe(false);
});

test("a name is public only with a dot and without an inner suffix", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("localhost", "local", "internal", "home.arpa"),
      fc.stringMatching(/^[a-z]{1,8}$/),
      (suffix, name) => {
        for (const host of [suffix, `${name}.${suffix}`, `${name}.${suffix}.`, `a.${name}.${suffix.toUpperCase()}`]) {
          expect(isPublicHost(host), host).toBe(false);
        }
        expect(isPublicHost(name)).toBe(false);
        expect(isPublicHost(`${suffix}.${name}.com`)).toBe(true);
      },
    ),
  );
});

test.for<[header: string | null, wait: number | null]>([
  [null, null],
  ["", null],
  ["0", 0],
  ["7", 7_000],
  [" 7 ", 7_000],
  ["3600", 3_600_000],
  ["999999999999", MAX_RETRY_AFTER_MS],
  ["-1", null],
  ["1.5", null],
  ["soon", null],
  ["may 5", null],
  ["Thu, 01 Jan 2026 00:00:30 GMT", 30_000],
  ["Thu, 01 Jan 2026 09:00:00 GMT", MAX_RETRY_AFTER_MS],
  ["Wed, 31 Dec 2025 23:59:59 GMT", 0],
])("Retry-After %j waits %j ms", ([header, wait]) => {
  expect(retryAfterMs(header, Date.parse("2026-01-01T00:00:00Z"))).toBe(wait);
});
