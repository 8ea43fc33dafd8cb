import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { outbound } from "#platform/outbound/outbound";
import { inbox } from "#test/worker/receivers";

const post = (url: string) => ({ method: "POST" as const, url, headers: { "x-test": "1" }, body: "{}" });
const silence = (reason: string) => ({ status: null, reason, retryAfterMs: null });

test("an exempt receiver is reached, and what it says is not told (R360)", async () => {
  const box = inbox();
  await box.reply({ status: 201, body: "a secret of the inside" });
  expect(await outbound(env).send(post(`${box.url}/a?b=c`))).toEqual({ status: 201, retryAfterMs: null });
  const [request, ...more] = await box.received();
  expect(more).toEqual([]);
  expect(request).toMatchObject({ method: "POST", path: "/a?b=c", body: "{}", headers: { "x-test": "1" } });
  expect(request?.headers["user-agent"]).toMatch(/^Longshore/);
});

test("without the exemption the same receiver is refused by its address (R360)", async () => {
  const box = inbox();
  const strict = outbound({ ...env, OUTBOUND_ALLOW: "" });
  expect(strict.check(box.url)).toMatchObject({ ok: false, code: "invalid" });
  expect(await strict.send(post(box.url))).toEqual(silence("address_not_allowed"));
  expect(await box.received()).toEqual([]);
});

test("a name that resolves to this machine is refused at connect time (R360, W2)", async () => {
  const box = inbox();
  const url = box.url.replace("127.0.0.1", "localhost");
  expect((await fetch(url, { method: "POST" })).status).toBe(200);
  await expect(env.OUTBOUND?.fetch(url, { method: "POST" })).rejects.toThrow();
  await expect(env.OUTBOUND?.fetch(box.url, { method: "POST" })).rejects.toThrow();
  expect(await box.received()).toHaveLength(1);
});

test("a redirect is an answer, not a way on (W2)", async () => {
  const [box, inside] = [inbox(), inbox()];
  for (const status of [301, 302, 303, 307, 308]) {
    await box.reply({ status, headers: { location: inside.url } });
    expect(await outbound(env).send(post(box.url))).toMatchObject({ status });
  }
  expect(await inside.received()).toEqual([]);
});

test("silence, a cut connection and an unknown name are told apart in a word each", async () => {
  const box = inbox();
  await box.reply({ hang: true });
  expect(await outbound(env, 300).send(post(box.url))).toEqual(silence("timeout"));
  await box.reply({ drop: true });
  expect(await outbound(env).send(post(box.url))).toEqual(silence("unreachable"));
  expect(await outbound(env).send(post("http://nothing.invalid/"))).toEqual(silence("unreachable"));
});

test("how long a busy receiver asks to wait is read from its answer (W4)", async () => {
  const box = inbox();
  await box.reply({ status: 429, headers: { "retry-after": "17" } });
  expect(await outbound(env).send(post(box.url))).toEqual({ status: 429, retryAfterMs: 17_000 });
});

test("the ports are a setting (R360)", () => {
  const { check } = outbound({ OUTBOUND_PORTS: "443, 9443" });
  expect(check("https://example.com:9443/").ok).toBe(true);
  expect(check("http://example.com/").ok).toBe(false);
});
