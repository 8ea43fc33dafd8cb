import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Operation } from "#http/operation";
import type { Surface } from "#http/surface";
import { FORM_TYPE, formOf } from "#test/worker/forms";
import { request } from "#test/worker/harness";
import {
  type Headers,
  KINDS,
  type Kind,
  missingId,
  nextAddress,
  PRINCIPALS,
  type Principal,
  World,
} from "#test/worker/seed";
import { surfaces } from "../../../src/surface-list.ts";
import { type Profile, type Verdict, verdictOf } from "./profiles.ts";
import { type Row, rows } from "./rows.ts";
import { checkShape } from "./shape.ts";

vi.setConfig({ testTimeout: 120_000 });

type Ids = Partial<Record<Kind, string>>;
type Cell = { surface: Surface; op: Operation; row: Row };

const cells: [name: string, cell: Cell][] = surfaces.flatMap((surface) =>
  surface.operations.flatMap((op): [string, Cell][] => {
    const name = `${surface.name}.${op.id}`;
    const row = rows.get(name);
    return row ? [[name, { surface, op, row }]] : [];
  }),
);

/** The parameters that are ids, of the path and of the body. */
const swapsOf = ({ ids = {}, bodyIds = {} }: Row) => Object.entries({ ...ids, ...bodyIds });
const kindsOf = (row: Row) => swapsOf(row).map(([, kind]) => kind);

let mine: World;
let theirs: World;
const tried = { callers: 0, ids: 0 };

beforeAll(async () => {
  [mine, theirs] = await Promise.all([World.create(), World.create()]);
  // One after another: things of a team are made by its owner.
  for (const world of [mine, theirs]) await world.ids(KINDS);
}, 120_000);

afterAll(() => {
  const exist = { callers: cells.length * PRINCIPALS.length, ids: 0 };
  for (const [, { row }] of cells) exist.ids += 3 * swapsOf(row).length;
  console.log("cells tried", tried, "of", exist);
  expect(tried).toEqual(exist);
});

test("every operation has a row, and every row an operation", () => {
  const served = surfaces.flatMap(({ name, operations }) => operations.map(({ id }) => `${name}.${id}`));
  expect([...rows.keys()].sort()).toEqual(served.sort());
});

test.for(cells)(
  "%s answers each caller as its row says (T1 T2 T3 T4, R4, R6 to R8, R11 to R16, R391)",
  async ([, cell]) => {
    const { row, op } = cell;
    for (const principal of PRINCIPALS) {
      const safe = op.method === "get";
      const verdict = row.except?.[principal] ?? verdictOf(row.profile, principal, safe, swapsOf(row).length > 0);
      // What passes and changes something has a team to itself.
      const world = verdict === "pass" && !safe && row.profile !== "public" ? await World.create() : mine;
      const ids = await world.ids(kindsOf(row));
      const answer = await send(cell, await world.headers(principal), ids);
      expect(statusesOf(cell, verdict), `${principal}: ${answer.status} ${answer.text}`).toContain(answer.status);
      tried.callers += 1;
      // Transfers know nothing of sessions.
      if (verdict !== 401 || row.profile === "transfer") continue;
      if (cookieOf(await world.headers(principal))) expectCookiesCleared(answer, principal);
    }
  },
);

/** Who has the things that an operation is about. */
const OWNERS: Partial<Record<Profile, Principal>> = { host: "host token", admin: "platform admin" };
const identified = cells.filter(([, { row }]) => swapsOf(row).length > 0 && row.profile !== "setup");

test.for(identified)("%s tells a foreign thing and a missing one alike (T1, R17, R18)", async ([, cell]) => {
  const { row } = cell;
  for (const [n, [, kind]] of swapsOf(row).entries()) {
    const world = await World.create();
    const own = await world.ids(kindsOf(row));
    const headers = await world.headers(OWNERS[row.profile] ?? "owner");
    const wrong = kind === "team" ? world.owner.userId : world.owner.teamId;
    // An administrator changes what is foreign too.
    const foreignId = await (row.profile === "admin" ? await World.create() : theirs).id(kind);
    const missing = missingId(kind);
    const there = await send(cell, headers, { ...own, [kind]: foreignId });
    const nowhere = await send(cell, headers, { ...own, [kind]: missing });
    const other = await send(cell, headers, { ...own, [kind]: wrong });
    const { foreign = 404, missing: gone = foreign, wrongKind = gone } = n === 0 ? row : ({} as Partial<Row>);
    const texts = `${kind}: ${there.text} ${nowhere.text} ${other.text}`;
    expect([there.status, nowhere.status, other.status], texts).toEqual([foreign, gone, wrongKind]);
    if (foreign === gone && !row.tellsApart)
      expect(there.text.replaceAll(foreignId, kind)).toBe(nowhere.text.replaceAll(missing, kind));
    tried.ids += 3;
  }
});

async function send({ surface, op, row }: Cell, headers: Headers, ids: Ids) {
  const params = Object.entries(row.ids ?? {}).map(([name, kind]) => [name, ids[kind]]);
  const values: Record<string, string> = { ...row.params, ...Object.fromEntries(params) };
  const path = op.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? `no-${name}`);
  const inBody = Object.entries(row.bodyIds ?? {}).map(([name, kind]) => [name, ids[kind]]);
  const given = typeof row.body === "function" ? row.body() : row.body;
  const body = row.bodyIds ? { ...given, ...Object.fromEntries(inBody) } : given;
  const type = op.octets ? "application/octet-stream" : op.form ? FORM_TYPE : undefined;
  const answer = await request(op.method.toUpperCase(), row.query ? `${path}?${row.query}` : path, {
    body: op.octets
      ? "bytes"
      : op.form
        ? formOf(...Object.keys(op.form).map((field) => [field, "x"] as [string, string]))
        : body,
    headers: { ...(type && { "content-type": type }), "cf-connecting-ip": nextAddress(), ...headers },
  });
  const isStream = answer.headers.get("content-type") === "text/event-stream";
  if (isStream) await answer.body?.cancel();
  const text = isStream ? "" : await answer.text();
  checkShape(surface, op, { status: answer.status, headers: answer.headers, text });
  return { status: answer.status, headers: answer.headers, text };
}

function statusesOf({ op, row }: Cell, verdict: Verdict): readonly number[] {
  if (verdict === "pass") return row.pass ?? [op.returns.status];
  return [verdict === "foreign" ? (row.foreign ?? 404) : verdict];
}

const cookieOf = (headers: Headers) => headers.cookie !== undefined && !headers["x-api-key"];

function expectCookiesCleared({ headers }: { headers: globalThis.Headers }, principal: Principal): void {
  const names = headers.getSetCookie().map((line) => line.slice(0, line.indexOf("=")));
  expect(names, principal).toEqual(["wrenn_sid", "wrenn_csrf"]);
}
