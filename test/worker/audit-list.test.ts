import { env } from "cloudflare:workers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type AuditAction, audit, auditRefusal } from "#domain/audit/audit";
import { commit } from "#domain/context";
import { newId } from "#kernel/id";
import { iso } from "#kernel/time";
import { auditOf } from "#test/worker/control";
import { contextFor, tenant } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";

type Entry = Record<string, unknown> & { id: string; created_at: string };
type Page = { entries: Entry[]; next_cursor: { before: string; before_id: string } | null };

const LOG = "/v1/audit-logs";
const list = async (p: Person, query = "", path = LOG): Promise<Page> => {
  const { status, body } = await p.call("GET", `${path}${query}`);
  expect({ status, body }).toMatchObject({ status: 200 });
  return body;
};

/** Follows the pages to the end. */
async function all(p: Person, query: string, between: () => Promise<unknown> = async () => {}): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor = ""; ; await between()) {
    const page = await list(p, `${query}${cursor}`);
    ids.push(...page.entries.map(({ id }) => id));
    if (!page.next_cursor) return ids;
    cursor = `&${new URLSearchParams(page.next_cursor)}`;
  }
}

/** Writes entries at the given times straight into the log; answers their ids. */
async function write(p: Person, times: number[], action: AuditAction = "api_key.created"): Promise<string[]> {
  const ids: string[] = [];
  const statements = times.map((at) => {
    const newEntryId = () => ids[ids.push(newId("audit", at)) - 1] as string;
    return audit({ ...p.ctx, now: () => at, newId: newEntryId }, action, "key_x");
  });
  const [first, ...rest] = statements;
  if (first) await commit(p.ctx.db, first, ...rest);
  return ids;
}

test("R379 R381 R382 pages lose and repeat nothing, also among equal times and while others write (I5)", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 30 }),
      fc.integer({ min: 1, max: 8 }),
      async (offsets, limit) => {
        const p = await person();
        const start = Date.now();
        const ids = await write(
          p,
          offsets.map((offset) => start + offset),
        );
        const newer = () => write(p, [start + 10]);
        const seen = await all(p, `?limit=${limit}`, newer);
        const times = new Map(ids.map((id, i) => [id, offsets[i] as number]));
        const order = (a: string, b: string) => times.get(b)! - times.get(a)! || (a < b ? 1 : -1);
        expect(seen).toEqual(ids.sort(order));
      },
    ),
    { numRuns: 25 },
  );
});

test("R380 the limit is 50 by default, at most 200, and at least 1", async () => {
  const p = await person();
  for (let i = 0; i < 3; i++)
    await write(
      p,
      Array.from({ length: 70 }, () => Date.now()),
    );
  expect((await list(p)).entries).toHaveLength(50);
  expect((await list(p, "?limit=7")).entries).toHaveLength(7);
  for (const limit of [200, 201, 100_000]) expect((await list(p, `?limit=${limit}`)).entries).toHaveLength(200);
  for (const limit of ["0", "-1", "x", "1.5", "", "1e999", "%00"]) {
    const answer = await p.call("GET", `${LOG}?limit=${limit}`);
    expect(answer, limit).toMatchObject({ status: 400, body: { error: { code: "invalid_request" } } });
  }
});

test("R389 a time alone cuts there, and an entry needs its time", async () => {
  const p = await person();
  const at = Date.now();
  const [older, same, newer] = await write(p, [at - 1, at, at + 1]);
  const ids = async (query: string) => (await list(p, query)).entries.map(({ id }) => id);
  expect(await ids(`?before=${iso(at)}`)).toEqual([older]);
  expect(await ids(`?before=${iso(at + 1)}`)).toEqual([same, older]);
  const zoned = encodeURIComponent(iso(at + 1 + 2 * 3_600_000).replace("Z", "+02:00"));
  expect(await ids(`?before=${zoned}`)).toEqual([same, older]);
  expect(await ids(`?before=${iso(at + 1)}&before_id=${newer}`)).toEqual([same, older]);
  for (const query of [
    `before_id=${same}`,
    "before=yesterday",
    "before=",
    "before=5",
    `before=${iso(at)}&before_id=`,
    `before=${iso(at)}&before_id=${p.userId}`,
    `before=${iso(at)}&before_id=' OR 1=1`,
  ]) {
    expect((await p.call("GET", `${LOG}?${query}`)).status, query).toBe(400);
  }
});

test("R383 members see what is for the team, owners and administrators everything", async () => {
  const owner = await person();
  const others = await Promise.all(
    (["admin", "member", "viewer"] as const).map((role) => person({ role, teamId: owner.teamId })),
  );
  await write(owner, [1, 3], "team.renamed");
  await write(owner, [2], "member.added");
  const actions = async (p: Person) => (await list(p)).entries.map(({ action, scope }) => `${action} ${scope}`);
  const everything = ["rename team", "add admin", "rename team"];
  expect(await actions(owner)).toEqual(everything);
  const [admin, member, viewer] = others;
  expect(await actions(admin!)).toEqual(everything);
  for (const p of [member!, viewer!]) expect(await actions(p)).toEqual(["rename team", "rename team"]);
  expect(await all(member!, "?limit=1")).toHaveLength(2);
});

test("R384 R385 an entry tells who did what to which thing, and how it went", async () => {
  const p = await person();
  const t = await tenant();
  const key = contextFor({ ...t.ctx.actor, kind: "api_key", id: t.keyId, name: "ci key", teamId: p.teamId });
  const host = contextFor({ ...t.ctx.actor, kind: "host", id: "host_1", name: "host_1", teamId: p.teamId });
  const nobody = contextFor({ ...t.ctx.actor, kind: "anonymous", id: "anonymous", name: "a", teamId: p.teamId });
  const user = contextFor({ ...t.ctx.actor, kind: "user", id: p.userId, name: "Ada", teamId: p.teamId });
  const at = (ms: number) => ({ now: () => ms });
  await commit(
    p.ctx.db,
    audit({ ...user, ...at(4) }, "api_key.revoked", "key_1", { name: "n" }),
    auditRefusal({ ...key, ...at(3) }, "sandbox.destroyed", "sb_1", { code: "forbidden" }),
    audit({ ...host, ...at(2) }, "host.lost", "host_1"),
    audit({ ...nobody, ...at(1) }, "workspace.created", "ws_1"),
  );
  const shown = { created_at: expect.any(String), id: expect.stringMatching(/^log_/) };
  expect((await list(p)).entries).toEqual([
    {
      ...{ ...shown, actor_type: "user", actor_id: p.userId, actor_name: "Ada", scope: "team", status: "success" },
      ...{ resource_type: "api_key", resource_id: "key_1", action: "revoke", metadata: { name: "n" } },
    },
    {
      ...{ ...shown, actor_type: "api_key", actor_id: t.keyId, actor_name: "ci key", scope: "team", status: "failure" },
      ...{ resource_type: "sandbox", resource_id: "sb_1", action: "destroy", metadata: { code: "forbidden" } },
    },
    expect.objectContaining({ actor_type: "host", action: "marked_down", resource_type: "host" }),
    expect.objectContaining({ actor_type: "system", action: "create", resource_type: "workspace" }),
  ]);
});

test("R387 filters take repeated and comma-separated values", async () => {
  const p = await person();
  const actions = ["api_key.created", "api_key.revoked", "team.renamed", "member.added", "host.registered"] as const;
  for (const [i, action] of actions.entries()) await write(p, [i], action);
  const shown = async (query: string) =>
    (await list(p, `?${query}`)).entries.map(({ resource_type, action }) => `${resource_type}.${action}`);
  expect(await shown("resource_type=api_key")).toEqual(["api_key.revoke", "api_key.create"]);
  expect(await shown("resource_type=api_key,team")).toEqual(["team.rename", "api_key.revoke", "api_key.create"]);
  expect(await shown("resource_type=member&resource_type=team")).toEqual(["member.add", "team.rename"]);
  expect(await shown("resource_type=member, host&resource_type=team&action=add,rename")).toEqual([
    ...["member.add", "team.rename"],
  ]);
  expect(await shown("action=create&action=register")).toEqual(["host.register", "api_key.create"]);
  expect(await shown("resource_type=&action=,")).toHaveLength(5);
  for (const none of ["action=created", "action=%25", "resource_type=API_KEY", "resource_type=api_key' OR '1'='1"]) {
    expect(await shown(none), none).toEqual([]);
  }
  expect(await all(p, "?limit=1&resource_type=api_key")).toHaveLength(2);
  const many = Array.from({ length: 31 }, (_, i) => `a${i}`).join(",");
  expect((await p.call("GET", `${LOG}?action=${many}`)).status).toBe(400);
  expect(await shown(`action=${many.slice(0, -4)}`)).toEqual([]);
});

test("T1 a log shows nothing of another team, whatever the cursor", async () => {
  const [mine, theirs] = [await person(), await person()];
  const [foreign] = await write(theirs, [5]);
  const own = await write(mine, [4, 6]);
  expect(await all(mine, "?limit=1")).toEqual([...own].reverse());
  const cursor = new URLSearchParams({ before: iso(5), before_id: foreign as string });
  expect((await list(mine, `?${cursor}`)).entries.map(({ id }) => id)).toEqual([own[0]]);
});

test("R403 A17 administrators of the platform page through all teams, nobody else does (R390, R391)", async () => {
  const [admin, a, b] = [await person({ platformAdmin: true, role: "viewer" }), await person(), await person()];
  const path = "/v1/admin/audit-logs";
  const now = Date.now() + 1_000;
  const ids = [...(await write(a, [now + 1])), ...(await write(b, [now + 2], "member.added"))];
  await write({ ...a, ctx: contextFor({ ...a.ctx.actor, teamId: "" }) }, [now + 3], "host.created");
  const first = await list(admin, "?limit=2", path);
  expect(first.entries).toMatchObject([
    { team_id: null, resource_type: "host" },
    { id: ids[1], team_id: b.teamId },
  ]);
  const next = await list(admin, `?limit=1&${new URLSearchParams(first.next_cursor!)}`, path);
  expect(next.entries).toMatchObject([{ id: ids[0], team_id: a.teamId }]);
  expect((await a.call("GET", path)).status).toBe(403);
  const t = await tenant();
  expect((await t.call("GET", path)).status).toBe(401);
  expect((await t.call("GET", LOG)).status).toBe(401);
});

test("T12 no operation changes or removes an entry", async () => {
  const p = await person({ platformAdmin: true });
  const [id] = await write(p, [1]);
  for (const path of [LOG, `${LOG}/${id}`, "/v1/admin/audit-logs", `/v1/admin/audit-logs/${id}`]) {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"] as const) {
      expect((await p.call(method, path, {})).status).toBe(404);
    }
  }
  expect(await auditOf("key_x")).toContain("api_key.created");
  const { results } = await env.DB.prepare("SELECT id FROM audit_entries WHERE id = ?").bind(id).all();
  expect(results).toHaveLength(1);
});
