import fc from "fast-check";
import { expect, test } from "vitest";
import { networkInWords, readNetwork } from "#domain/sandbox/network";
import { isPublicAddress } from "#kernel/public-address";
import { NetworkPolicy } from "#protocol/host-agent";
import { matches, readAddress, readAuthority } from "#sandbox/host-agent/egress/rules";

test.for<[setting: string, policy: NetworkPolicy]>([
  ["", "off"],
  ["off", "off"],
  [" , ", "off"],
  ["example.com,off", "off"],
  ["public", { allow: ["*"] }],
  ["*", { allow: ["*"] }],
  ["Example.com, *.npmjs.org", { allow: ["example.com", "*.npmjs.org"] }],
  ["https://example.com", "off"],
  ["example.com:443", "off"],
  ["*.*.example.com", "off"],
  ["exam*le.com", "off"],
  ["..", "off"],
])("the setting %j means %j", ([setting, policy]) => {
  expect(readNetwork(setting)).toEqual(policy);
});

test("a policy in words reads as it was set", () => {
  for (const words of ["off", "public", "example.com, *.npmjs.org"]) {
    expect(networkInWords(readNetwork(words))).toBe(words);
  }
  expect(networkInWords("open")).toBe("open");
});

test.for<[pattern: string, name: string, named: boolean]>([
  ["example.com", "example.com", true],
  ["example.com", "a.example.com", false],
  ["example.com", "notexample.com", false],
  ["*.example.com", "a.example.com", true],
  ["*.example.com", "a.b.example.com", true],
  ["*.example.com", "example.com", false],
  ["*.example.com", ".example.com", false],
  ["*.example.com", "aexample.com", false],
  ["*.example.com", "a.example.com.evil.net", false],
  ["*", "anything", true],
])("%s names %s: %s", ([pattern, name, named]) => {
  expect(matches(pattern, name)).toBe(named);
});

test("H3: a wildcard names exactly what ends with a dot and the name", () => {
  const label = fc.stringMatching(/^[a-z0-9-]{1,10}$/);
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
  fc.assert(
    fc.property(name, name, (base, other) => {
      expect(matches(`*.${base}`, other)).toBe(other.endsWith(`.${base}`));
      expect(matches(`*.${base}`, `${other}.${base}`)).toBe(true);
      expect(NetworkPolicy.safeParse({ allow: [`*.${base}`, base] }).success).toBe(true);
    }),
  );
});

test.for([
  ["EXAMPLE.com:443", { host: "example.com", port: 443 }],
  ["2130706433:80", { host: "127.0.0.1", port: 80 }],
  ["0x7f.1:80", { host: "127.0.0.1", port: 80 }],
  ["[::1]:80", { host: "[::1]", port: 80 }],
  ["bücher.example:80", { host: "xn--bcher-kva.example", port: 80 }],
] as const)("H3: the proxy reads %s as the URL standard does", ([text, target]) => {
  expect(readAuthority(text)).toEqual(target);
});

test.for([
  "",
  ":80",
  "a",
  "a:",
  "a:b",
  "a:99999",
  "u@a:80",
  "a/b:80",
  "a b:80",
  "http://a:80",
  "a:80/",
  "[::1:80",
  "a\t:1",
])("%j is no authority", (text) => {
  expect(() => readAuthority(text)).toThrow("host:port");
});

test("a plain address keeps its path, and its port is 80 unless it says otherwise", () => {
  const { url, target } = readAddress("http://Example.com/a%20b?c=d&e#f");
  expect([url.pathname + url.search, target]).toEqual(["/a%20b?c=d&e", { host: "example.com", port: 80 }]);
  expect(readAddress("http://example.com:8080/").target.port).toBe(8080);
});

test.for([
  ["1.1.1.1", true],
  ["2606:4700::1111", true],
  ["168.63.129.16", false],
  ["169.254.169.254", false],
  ["fd00:ec2::254", false],
  ["100.100.100.200", false],
  ["192.0.0.192", false],
  ["::ffff:1.1.1.1", false],
] as const)("W2, H3: %s is public: %s", ([address, expected]) => {
  expect(isPublicAddress(address)).toBe(expected);
});
