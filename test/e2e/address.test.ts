import { afterAll, beforeAll, expect, test } from "vitest";
import { type Started, startedProduct } from "#test/node/started";

let direct: Started;
let behindProxy: Started;

beforeAll(async () => {
  direct = await startedProduct();
  behindProxy = await startedProduct({ TRUSTED_PROXY_HEADER: "X-Forwarded-For" });
}, 120_000);

afterAll(async () => {
  await direct?.stop();
  await behindProxy?.stop();
});

/** How many requests the server has left for the caller, after one more with these headers. */
async function left({ url }: Started, headers: Record<string, string> = {}): Promise<number> {
  const body = JSON.stringify({ token: "nonsense", address: "agent.example.com:443" });
  const answer = await fetch(`${url}/v1/hosts/register`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
  expect(answer.status).toBe(401);
  return Number(/;r=(\d+);/.exec(answer.headers.get("ratelimit") ?? "")?.[1]);
}

test("I4: a server of one's own counts by the socket's peer, whatever the caller claims", async () => {
  const first = await left(direct);
  const claims: Record<string, string>[] = [
    { "cf-connecting-ip": "203.0.113.1" },
    { "cf-connecting-ip": "" },
    { "x-forwarded-for": "203.0.113.2" },
    { "x-real-ip": "203.0.113.3", forwarded: "for=203.0.113.3" },
    { "mf-cf-blob": JSON.stringify({ clientIp: "203.0.113.4:1" }) },
    { "mf-original-url": "http://203.0.113.5/", "mf-route-override": "x" },
  ];
  for (const [n, headers] of claims.entries()) {
    expect(await left(direct, headers), JSON.stringify(headers)).toBe(first - 1 - n);
  }
});

test("I4: behind a reverse proxy the entry counts that the proxy itself wrote", async () => {
  const from = (list: string) => left(behindProxy, { "x-forwarded-for": list });
  const first = await from("203.0.113.1");
  expect(await from("198.51.100.9, 203.0.113.1")).toBe(first - 1);
  expect(await from("203.0.113.1, 203.0.113.2")).toBe(first);
  expect(await from("2001:db8::1")).toBe(first);
  expect(await from("[2001:db8::ffff:2]:4711")).toBe(first - 1);
  expect(await from("2001:db8:0:1::1")).toBe(first);
});

test("Miniflare's own doors are closed to callers", async () => {
  for (const path of ["/cdn-cgi/handler/scheduled", "/cdn-cgi/platform-proxy", "/cdn-cgi/local/explorer"]) {
    expect((await fetch(direct.url + path)).status, path).toBe(404);
  }
});
