import { expect, test } from "vitest";
import { countOf, rowOf, tenant } from "#test/worker/harness";

test("creating a workspace stores it with its sandbox and one audit row (T12)", async () => {
  const t = await tenant();
  const { status, body } = await t.call("POST", "/api/v1/workspaces", { name: "one", runtime: "base", ownerId: " o " });
  expect({ status, body }).toMatchObject({
    status: 201,
    body: { name: "one", runtime: "base", ownerId: "o", rootPath: "/workspace", kind: "project", readOnly: false },
  });
  const row = await rowOf("workspaces", body.id);
  expect(row).toMatchObject({ team_id: t.teamId, created_by: t.keyId });
  expect(await rowOf("sandboxes", row!.sandbox_id as string)).toMatchObject({
    status: "pending",
    workspace_id: body.id,
  });
  expect(await countOf("audit_entries", "subject_id = ?", body.id)).toBe(1);
  expect(await rowOf("audit_entries", body.id, "subject_id")).toMatchObject({
    action: "workspace.created",
    credential_id: t.keyId,
    team_id: t.teamId,
  });
});

test("unknown and read-only fields are dropped (T11)", async () => {
  const t = await tenant();
  const hostile = {
    teamId: "team_x",
    id: "ws_x",
    readOnly: true,
    status: "disabled",
    createdAt: "1999-01-01T00:00:00Z",
  };
  const body = `{"__proto__":{"readOnly":true},${JSON.stringify({ name: "n", runtime: "base", ...hostile }).slice(1)}`;
  const answer = await t.call("POST", "/api/v1/workspaces", body, { "content-type": "application/json" });
  expect(answer).toMatchObject({ status: 201, body: { readOnly: false, status: "active" } });
  expect(answer.body.id).not.toBe("ws_x");
  expect(await rowOf("workspaces", answer.body.id)).toMatchObject({ team_id: t.teamId, read_only: 0 });
});

test.for([
  { why: "an unknown runtime", body: { name: "n", runtime: "nope" }, status: 404, code: "runtime_not_found" },
  {
    why: "a root elsewhere",
    body: { name: "n", runtime: "base", rootPath: "/etc" },
    status: 403,
    code: "workspace_path_not_allowed",
  },
  { why: "no name", body: { runtime: "base" }, status: 400, code: "invalid_request" },
  {
    why: "a skill that is a path",
    body: { name: "n", runtime: "base", skills: [{ name: "../x", content: "c" }] },
    status: 400,
    code: "invalid_request",
  },
])("creating a workspace is refused for $why", async ({ body, status, code }) => {
  const t = await tenant();
  expect(await t.call("POST", "/api/v1/workspaces", body)).toMatchObject({ status, body: { error: { code } } });
  expect(await countOf("workspaces", "team_id = ?", t.teamId)).toBe(0);
});

test("lists page by decimal offset, newest change first, and hold only the team's own (T1)", async () => {
  const [t, other] = [await tenant(), await tenant()];
  await other.workspace();
  const ids = [await t.workspace(), await t.workspace(), await t.workspace()];
  const first = await t.call("GET", "/api/v1/workspaces?pageSize=2");
  expect(first.body.nextCursor).toBe("2");
  const second = await t.call("GET", `/api/v1/workspaces?pageSize=2&cursor=${first.body.nextCursor}`);
  const listed = [...first.body.items, ...second.body.items].map(({ id }: { id: string }) => id);
  expect(listed.toSorted()).toEqual(ids.toSorted());
  expect(second.body).not.toHaveProperty("nextCursor");
  expect((await t.call("GET", "/api/v1/workspaces?cursor=rubbish")).body.items).toHaveLength(3);
  expect((await t.call("GET", "/api/v1/workspaces?pageSize=201")).status).toBe(400);
});

test("deleting a workspace takes its sessions and sandbox along; a missing and a foreign one look deleted (T1)", async () => {
  const [t, other] = [await tenant(), await tenant()];
  const id = await t.workspace();
  const sessionId = await t.session(id);
  const path = `/api/v1/workspaces/${id}`;
  expect((await other.call("DELETE", path)).status).toBe(204);
  expect((await t.call("GET", path)).status).toBe(200);
  expect((await t.call("DELETE", path)).status).toBe(204);
  expect((await t.call("GET", path)).status).toBe(404);
  expect((await t.call("GET", `/api/v1/sessions/${sessionId}`)).status).toBe(404);
  expect(await countOf("sandboxes", "workspace_id = ?", id)).toBe(0);
  expect((await t.call("DELETE", path)).status).toBe(204);
  expect(await countOf("audit_entries", "subject_id = ? AND action = 'workspace.deleted'", id)).toBe(1);
});

test("two teams may choose the same workspace id and learn nothing of each other (T1)", async () => {
  const [a, b] = [await tenant(), await tenant()];
  const ensure = (t: typeof a) =>
    t.call("POST", "/api/v1/sandboxes", { workspaceId: "mine", name: "n", runtime: "base" });
  const first = await ensure(a);
  expect(first).toMatchObject({ status: 201, body: { workspaceId: "mine", rootPath: "/workspace" } });
  expect(await ensure(a)).toMatchObject({ status: 200, body: { id: first.body.id } });
  expect((await b.call("GET", "/api/v1/workspaces/mine")).status).toBe(404);
  expect((await b.call("GET", `/api/v1/sandboxes/${first.body.id}`)).status).toBe(404);
  expect(await ensure(b)).toMatchObject({ status: 201, body: { workspaceId: "mine" } });
  const session = await a.call("POST", "/api/v1/workspaces/mine/sessions", {});
  expect(session).toMatchObject({ status: 201, body: { workspaceId: "mine" } });
  expect((await a.call("GET", "/api/v1/workspaces/mine/sessions")).body.items).toHaveLength(1);
  expect((await a.call("GET", "/api/v1/sandboxes/mine")).body.id).toBe(first.body.id);
});

test("ten at once that ensure one id make one workspace", async () => {
  const t = await tenant();
  const body = { workspaceId: "racy", name: "n", runtime: "base" };
  const answers = await Promise.all(Array.from({ length: 10 }, () => t.call("POST", "/api/v1/sandboxes", body)));
  expect(new Set(answers.map((one) => one.body.id)).size).toBe(1);
  expect(answers.filter((one) => one.status === 201)).toHaveLength(1);
  expect(await countOf("sandboxes", "team_id = ?", t.teamId)).toBe(1);
});

test.for([
  {
    why: "another owner",
    body: { workspaceId: "own", ownerId: "someone" },
    status: 409,
    code: "workspace_owner_mismatch",
  },
  { why: "a missing workspace", body: { workspaceId: "none" }, status: 404, code: "workspace_not_found" },
  { why: "nothing to go by", body: {}, status: 400, code: "invalid_request" },
  { why: "a directory to import", body: { rootPath: "/srv" }, status: 501, code: "not_supported" },
  {
    why: "an id of the server's shape",
    body: { workspaceId: "ws_0000000000abcdefghjk", name: "n", runtime: "base" },
    status: 404,
    code: "workspace_not_found",
  },
])("ensuring a sandbox is refused for $why", async ({ body, status, code }) => {
  const t = await tenant();
  await t.call("POST", "/api/v1/sandboxes", { workspaceId: "own", name: "n", runtime: "base" });
  expect(await t.call("POST", "/api/v1/sandboxes", body)).toMatchObject({ status, body: { error: { code } } });
});
