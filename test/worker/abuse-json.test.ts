import { expect, test, vi } from "vitest";
import { NOBODY } from "#domain/actor";
import { type Operation, takesJson } from "#http/operation";
import type { Surface } from "#http/surface";
import { HOUR } from "#kernel/time";
import { contextFor, request } from "#test/worker/harness";
import { type Kind, missingId, nextAddress, World } from "#test/worker/seed";
import { surfaces } from "../../src/surface-list.ts";
import { type Row, rows } from "./matrix/rows.ts";
import { checkShape } from "./matrix/shape.ts";

vi.setConfig({ testTimeout: 120_000 });

type Monster = { body: string | Uint8Array; headers?: Record<string, string>; status?: number };

const bytes = (...parts: (string | number[])[]) =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === "string" ? [...new TextEncoder().encode(part)] : part)));
const deep = (depth: number) => `{"x":${"[".repeat(depth)}${"]".repeat(depth)}}`;
const TEN_MEGABYTES = new Uint8Array(10 * 1024 * 1024).fill(0x20);
const MANY_KEYS = JSON.stringify(Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, 0])));

/** `{...body, more}` as text, with `more` last. */
const and = (body: string, more: string) => (body === "{}" ? `{${more}}` : `${body.slice(0, -1)},${more}}`);

/** Hostile bodies made from one that the operation takes; without a status any refusal will do, or taking it. */
const monsters = (body: string): Record<string, Monster> => ({
  "depth 10,000": { body: deep(10_000), status: 400 },
  "depth 10,000, unclosed": { body: `{"x":${"[".repeat(10_000)}`, status: 400 },
  "10 MB": { body: TEN_MEGABYTES, status: 413 },
  "100,000 keys": { body: and(body, MANY_KEYS.slice(1, -1)) },
  "duplicate keys": { body: and(body, body === "{}" ? '"a":1,"a":2' : body.slice(1, -1)) },
  "a lone surrogate": { body: and(body, '"x":"\\ud800"'), status: 400 },
  "a lone surrogate as key": { body: and(body, '"\\udc00":1'), status: 400 },
  "odd numbers": { body: and(body, '"x":[-0,1e400,-1e400,9007199254740993,1e-400]') },
  "NUL in a key and a value": { body: and(body, '"a\\u0000":"\\u0000"') },
  "a raw NUL": { body: bytes(body, [0]), status: 400 },
  "a byte order mark": { body: bytes([0xef, 0xbb, 0xbf], body) },
  "UTF-16": { body: Uint8Array.from([...body].flatMap((c) => [c.charCodeAt(0), 0])), status: 400 },
  "broken UTF-8": { body: bytes('{"x":"', [0xff, 0xc0], '"}'), status: 400 },
  "another charset by name": { body, headers: { "content-type": "application/json; charset=utf-16" } },
  "gzip by name": { body: bytes([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]), headers: { "content-encoding": "gzip" }, status: 400 },
  prototypes: { body: and(body, '"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}') },
  "a list": { body: `[${body}]`, status: 400 },
  null: { body: "null", status: 400 },
  "a number": { body: "1e400", status: 400 },
  "two values": { body: `${body}${body}`, status: 400 },
  nothing: { body: "", status: 400 },
});

type Target = { surface: Surface; op: Operation; row: Row };
const targets = surfaces.flatMap((surface) =>
  surface.operations.flatMap((op): [string, Target][] => {
    const row = rows.get(`${surface.name}.${op.id}`);
    return takesJson(op) && row && row.profile !== "setup" ? [[`${surface.name}.${op.id}`, { surface, op, row }]] : [];
  }),
);

async function transferHeaders(): Promise<Record<string, string>> {
  const put = { act: "put", teamId: "", hostId: "host_1", uploadId: "up" } as const;
  return { authorization: `Bearer ${await contextFor(NOBODY).chunks.issueToken(put, HOUR)}` };
}

test("most operations that take a body are tried", () => expect(targets.length).toBeGreaterThan(25));

test.for(targets)("%s takes hostile JSON without harm (I1, I2, R19, R20)", async ([, { surface, op, row }]) => {
  const fill = (kinds: Record<string, Kind> = {}) =>
    Object.fromEntries(Object.entries(kinds).map(([name, kind]) => [name, missingId(kind)]));
  const params: Record<string, string> = { ...row.params, ...fill(row.ids) };
  const path = op.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? "x");
  const caller = row.profile === "admin" ? "platform admin" : row.profile === "host" ? "host token" : "owner";
  let world = await World.create();
  const transfer = await transferHeaders();
  const given = typeof row.body === "function" ? row.body() : row.body;
  for (const [name, monster] of Object.entries(monsters(JSON.stringify({ ...given, ...fill(row.bodyIds) })))) {
    const headers = row.profile === "transfer" ? transfer : row.profile === "public" ? {} : await world.headers(caller);
    const json = { "content-type": "application/json", "cf-connecting-ip": nextAddress() };
    const answer = await request(op.method.toUpperCase(), path, {
      body: monster.body,
      headers: { ...json, ...headers, ...monster.headers },
    });
    const text = await answer.text();
    checkShape(surface, op, { status: answer.status, headers: answer.headers, text });
    // A discreet operation answers whatever it is sent alike.
    const wanted = monster.status === 413 && op.bodyLimitBytes > TEN_MEGABYTES.length ? 400 : monster.status;
    if (wanted && !op.discreet) expect(answer.status, `${name}: ${text}`).toBe(wanted);
    // Some operations end the session of the one who asks.
    if (answer.headers.getSetCookie().length > 0) world = await World.create();
    expect(Reflect.get({}, "polluted"), name).toBeUndefined();
  }
});
