import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { addressPrincipal } from "#domain/principal/values";
import { networkOf } from "#http/address";
import type { Operation } from "#http/operation";
import type { Surface } from "#http/surface";
import { HOUR } from "#kernel/time";
import { call } from "#test/worker/harness";
import { missingId, nextAddress, World } from "#test/worker/seed";
import { surfaces } from "../../src/surface-list.ts";
import { type Row, rows } from "./matrix/rows.ts";

type Target = { surface: Surface; op: Operation; row: Row };
const limited = surfaces.flatMap((surface) =>
  surface.operations.flatMap((op): [string, Target][] => {
    const row = rows.get(`${surface.name}.${op.id}`);
    return op.limit && row ? [[`${surface.name}.${op.id}`, { surface, op, row }]] : [];
  }),
);

/** Uses a limit of an address up, as very many requests would. */
async function useUp(address: string, bucket: string): Promise<void> {
  const name = addressPrincipal(networkOf(address));
  await env.PRINCIPAL.getByName(name).take([{ bucket, quota: 1, windowMs: HOUR }]);
  await runInDurableObject(env.PRINCIPAL.getByName(name), (_, { storage }) => {
    storage.sql.exec("UPDATE limits SET full_at = ?", Date.now() + 1_000 * HOUR).toArray();
  });
}

async function send({ op, row }: Target, headers: Record<string, string>, suffix = "") {
  const world = await World.create();
  const params: Record<string, string> = { ...row.params };
  for (const [name, kind] of Object.entries(row.ids ?? {})) params[name] = await world.id(kind);
  const path = op.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? "x");
  const given = typeof row.body === "function" ? row.body() : row.body;
  const ids = Object.entries(row.bodyIds ?? {}).map(([name, kind]) => [name, missingId(kind)]);
  const body = row.bodyIds ? { ...given, ...Object.fromEntries(ids) } : given;
  const who = row.profile === "public" ? {} : await world.headers("owner");
  const query = row.query ? `?${row.query}` : "";
  return call(op.method.toUpperCase(), `${path}${suffix}${query}`, { body, headers: { ...who, ...headers } });
}

test("what can be guessed or asked for in vain is limited", () => {
  const names = limited.map(([name]) => name.replace("platform.", ""));
  for (const name of ["login", "signup", "activate", "requestPasswordReset", "confirmPasswordReset", "registerHost"]) {
    expect(names).toContain(name);
  }
});

test.for(limited)(
  "%s says when its limit is used up, truly, and cannot be talked out of it (I4)",
  async ([, target]) => {
    const { op, surface } = target;
    const limit = op.limit!;
    const address = nextAddress();
    await useUp(address, limit.name);
    const tricks: Record<string, string>[] = [
      {},
      { "x-forwarded-for": "203.0.113.200" },
      { "x-real-ip": "203.0.113.201", forwarded: "for=203.0.113.202" },
      { "true-client-ip": "203.0.113.203", "x-client-ip": "203.0.113.204" },
    ];
    for (const trick of tricks) {
      // Every request is another caller with another session.
      const answer = await send(target, { "cf-connecting-ip": address, ...trick });
      expect(answer.status).toBe(429);
      expect(surface.faultBody.safeParse(answer.body).success).toBe(true);
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(60);
      expect(answer.headers.get("ratelimit")).toMatch(/^"[\w-]+";r=0;t=\d+$/);
      expect(answer.headers.get("ratelimit-policy")).toMatch(/^"[\w-]+";q=\d+;w=\d+$/);
    }
    expect((await send(target, { "cf-connecting-ip": address }, "/")).status).toBe(404);
    const elsewhere = await send(target, { "cf-connecting-ip": nextAddress() });
    expect(elsewhere.status).not.toBe(429);
    // What is left is told as it is.
    const { quota } = limit.perAddress;
    const left = Number(/;r=(\d+);/.exec(elsewhere.headers.get("ratelimit") ?? "")?.[1]);
    expect(left).toBe(Math.min(quota, limit.perSubject?.quota ?? quota) - 1);
  },
);

test("the limit of an e-mail counts it however it is written, from wherever it is asked (I4)", async () => {
  const spellings = ["victim@example.test", "VICTIM@example.test", " Victim@Example.TEST ", "victim@EXAMPLE.test"];
  const statuses: number[] = [];
  for (let i = 0; i < 12; i++) {
    const body = { email: spellings[i % spellings.length], password: `guess ${i}` };
    const headers = { "cf-connecting-ip": nextAddress() };
    statuses.push((await call("POST", "/v1/auth/login", { body, headers })).status);
  }
  expect(statuses).toEqual([...Array(10).fill(401), 429, 429]);
});

test("neighbours in one /64 share a limit, and those of the next do not (I4)", async () => {
  const body = { token: "nonsense", address: "agent.example.com:443" };
  const left = async (address: string) => {
    const { headers } = await call("POST", "/v1/hosts/register", { body, headers: { "cf-connecting-ip": address } });
    return Number(/;r=(\d+);/.exec(headers.get("ratelimit") ?? "")?.[1]);
  };
  const first = await left("2001:db8:5::1");
  expect(await left("2001:db8:5::ffff:1")).toBe(first - 1);
  expect(await left("2001:db8:5:1::1")).toBe(first);
});
