import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { eventually } from "#test/worker/control";
import { call, tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";

afterEach(() => vi.restoreAllMocks());

type Row = { action: string; team_id: string; subject_id: string; metadata: string; credential_id: string };

/** Refused attempts of somebody, oldest first. */
async function refusedTo(actorId: string): Promise<Row[]> {
  const query = "SELECT * FROM audit_entries WHERE actor_id = ? AND result = 'refused' ORDER BY created_at, id";
  return (await env.DB.prepare(query).bind(actorId).all<Row>()).results;
}

const refusals = (actorId: string, count: number) =>
  eventually(async () => {
    const rows = await refusedTo(actorId);
    expect(rows).toHaveLength(count);
    return rows;
  });

const WORKSPACES = "/api/v1/workspaces";
const BODY = { name: "w", runtime: "base" };

test("T12 a refused change leaves one entry: who, with what, what was tried, and why not", async () => {
  const owner = await person();
  const viewer = await person({ role: "viewer", teamId: owner.teamId });
  expect((await viewer.call("POST", WORKSPACES, BODY)).status).toBe(403);
  const [row] = await refusals(viewer.userId, 1);
  expect(row).toMatchObject({ team_id: owner.teamId, action: "workspace.created", actor_kind: "user" });
  expect(row?.credential_id).toEqual(expect.any(String));
  expect(JSON.parse(row?.metadata ?? "")).toEqual({ operation: "runtime.createWorkspace", code: "forbidden" });
  const { body } = await owner.call("GET", "/v1/audit-logs");
  expect(body.entries).toMatchObject([{ actor_id: viewer.userId, status: "failure", resource_type: "workspace" }]);
});

test("T12 a key's refusal names the key and the thing", async () => {
  const t = await tenant("viewer");
  const id = "ws_0000000000abcdefghjk";
  expect((await t.call("DELETE", `${WORKSPACES}/${id}`)).status).toBe(403);
  expect((await refusals(t.keyId, 1))[0]).toMatchObject({ subject_id: id, actor_kind: "api_key" });
});

test("T12 a forged request is noted for the one in whose name it came", async () => {
  const p = await person();
  const { status } = await call("POST", WORKSPACES, { body: BODY, headers: { cookie: p.cookie } });
  expect(status).toBe(403);
  expect((await refusals(p.userId, 1))[0]?.metadata).toContain("csrf_failed");
});

test("T12 what names nothing, is malformed or changes nothing is not noted, nor what a stranger tries", async () => {
  const p = await person({ role: "viewer" });
  await p.call("GET", "/v1/admin/audit-logs");
  await call("POST", WORKSPACES, { body: BODY });
  await call("POST", WORKSPACES, { body: BODY, headers: { cookie: `wrenn_sid=${p.token.slice(0, -1)}x` } });
  const owner = await person();
  await owner.call("POST", WORKSPACES, { name: 7 });
  await owner.call("DELETE", `${WORKSPACES}/ws_0000000000abcdefghjk`);
  await owner.call("POST", "/v1/nothing", {});
  // Work is deferred in order, so once this one is there the others would be.
  await p.call("POST", WORKSPACES, BODY);
  await refusals(p.userId, 1);
  expect(await refusedTo(owner.userId)).toEqual([]);
  expect(await refusedTo("anonymous")).toEqual([]);
});

test("T12 what people do with their own account is not their team's business", async () => {
  const p = await person();
  const headers = { cookie: p.cookie };
  expect((await call("POST", "/v1/auth/logout-all", { headers })).status).toBe(403);
  expect((await refusals(p.userId, 1))[0]).toMatchObject({ team_id: "", action: "user.logged_out_everywhere" });
  expect((await p.call("GET", "/v1/audit-logs")).body.entries).toEqual([]);
});

test("T12 nobody fills the log by failing", async () => {
  // Time stands still, so that nothing of the limit comes back.
  vi.spyOn(Date, "now").mockReturnValue(Date.now());
  const p = await person({ role: "viewer" });
  const other = await person({ role: "viewer", teamId: p.teamId });
  await Promise.all(Array.from({ length: 30 }, () => p.call("POST", WORKSPACES, BODY)));
  await other.call("POST", WORKSPACES, BODY);
  await refusals(other.userId, 1);
  const noted = (await refusals(p.userId, 10)).length;
  await p.call("POST", WORKSPACES, BODY);
  await other.call("POST", WORKSPACES, BODY);
  await refusals(other.userId, 2);
  expect(await refusedTo(p.userId)).toHaveLength(noted);
});
