import { expect, test } from "vitest";
import { addressOf, networkOf } from "#http/address";

const from = (headers: Record<string, string>, clientIp?: string) =>
  Object.assign(new Request("http://x.test", { headers }), clientIp && { cf: { clientIp } });

test.for<[told: string, address: string | undefined, network: string]>([
  ["203.0.113.7", "203.0.113.7", "203.0.113.7"],
  ["203.0.113.7:4711", "203.0.113.7", "203.0.113.7"],
  [" 203.0.113.7 ", "203.0.113.7", "203.0.113.7"],
  ["::ffff:203.0.113.7", "203.0.113.7", "203.0.113.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:DB8:1:2::1", "2001:db8:1:2::1", "2001:db8:1:2::/64"],
  ["[2001:db8:1:2::1]:443", "2001:db8:1:2::1", "2001:db8:1:2::/64"],
  ["fe80::1%eth0", "fe80::1", "fe80::/64"],
  ["0x7f.1", undefined, "unknown"],
  ["127.1", undefined, "unknown"],
  ["example.com", undefined, "unknown"],
  ["", undefined, "unknown"],
  ["1.2.3.4, 5.6.7.8", undefined, "unknown"],
])("the address %s is %s and counts as %s (I4)", ([told, address, network]) => {
  for (const request of [from({ "cf-connecting-ip": told }), from({}, told)]) {
    expect(addressOf(request)).toBe(address);
    expect(networkOf(addressOf(request))).toBe(network);
  }
});

test("the socket's peer is believed before a header, and a proxy's last entry before both (I4)", () => {
  const headers = { "cf-connecting-ip": "203.0.113.1", "x-forwarded-for": "203.0.113.2, 203.0.113.3" };
  expect(addressOf(from(headers, "203.0.113.4:1"))).toBe("203.0.113.4");
  expect(addressOf(from(headers, "203.0.113.4:1"), "X-Forwarded-For")).toBe("203.0.113.3");
  expect(addressOf(from({ "x-forwarded-for": "nonsense" }, "203.0.113.4:1"), "X-Forwarded-For")).toBe("203.0.113.4");
});
