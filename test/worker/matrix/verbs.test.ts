import { expect, test } from "vitest";
import { NOBODY } from "#domain/actor";
import { contextFor } from "#test/worker/harness";
import { missingId } from "#test/worker/seed";
import { surfaces } from "../../../src/surface-list.ts";
import { rows } from "./rows.ts";

const guarded = surfaces.flatMap(({ name, operations }) =>
  operations.flatMap((op) => (op.permission === null ? [] : [[`${name}.${op.id}`, op] as const])),
);

test.for(guarded)("%s demands its permission in the verb too (T3)", async ([name, op]) => {
  const row = rows.get(name);
  const idsOf = (kinds = {}) =>
    Object.fromEntries(Object.entries(kinds).map(([field, kind]) => [field, missingId(kind as never)]));
  const given = typeof row?.body === "function" ? row.body() : row?.body;
  const body = op.body.parse(row?.bodyIds ? { ...given, ...idsOf(row.bodyIds) } : given);
  const query = op.query.parse(Object.fromEntries(new URLSearchParams(row?.query)));
  const raw = {
    url: "http://longshore.test/",
    address: "203.0.113.1",
    cookies: () => [],
    header: () => undefined,
    stream: () => new Response("").body,
    signal: AbortSignal.timeout(5_000),
  };
  const outcome = { status: 200, headers: new Headers() };
  const input = { params: { ...row?.params, ...idsOf(row?.ids) }, query, body, raw, outcome };
  const running = (async () => op.run(contextFor(NOBODY), input as never))();
  await expect(running).rejects.toMatchObject({ code: "forbidden" });
});
