import { expect, test } from "vitest";
import { parse } from "yaml";
import type { Actor } from "#domain/actor";
import type { Operation } from "#http/operation";
import { runtimeSurface } from "#surfaces/runtime/index";
import { type Answer, call, contextFor, tenant } from "#test/worker/harness";

// One table covers every endpoint of the surface, including those not written yet.
const operations = runtimeSurface.operations.map((op) => [`${op.method} ${op.path}`, op] as const);
const guarded = operations.filter(([, op]) => op.permission !== null);
const writing = guarded.filter(([, op]) => op.permission?.endsWith(":write"));

const EXAMPLE_IDS: Record<string, string> = {
  workspaceId: "ws_0000000000abcdefghjk",
  sandboxId: "sb_0000000000abcdefghjk",
  sessionId: "ses_0000000000abcdefghjk",
  messageId: "msg_0000000000abcdefghjk_1",
  runId: "run_0000000000abcdefghjk_1",
};
const REQUIRED = "path=a.txt";

const pathOf = (op: Operation, ids: Record<string, string> = {}) =>
  `${op.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? EXAMPLE_IDS[name] ?? "x")}?${REQUIRED}`;

/** Bodies that the operations take. */
const BODIES: Record<string, unknown> = {
  createWorkspace: { name: "n", runtime: "base" },
  ensureSandboxForWorkspace: { workspaceId: EXAMPLE_IDS.workspaceId },
  moveSandboxEntry: { sourcePath: "a", targetPath: "b" },
  createSandboxDirectory: { path: "d" },
  putSandboxFileContent: { path: "a", content: "c" },
  runSandboxForegroundCommand: { command: "true" },
  createSession: {},
  createSessionMessage: { content: "hi" },
};
const send = (op: Operation, headers: Record<string, string>, ids?: Record<string, string>): Promise<Answer> => {
  const octets = op.octets ? { "content-type": "application/octet-stream" } : {};
  const body = op.octets ? "bytes" : BODIES[op.id];
  return call(op.method.toUpperCase(), pathOf(op, ids), { headers: { ...octets, ...headers }, body });
};

test("the surface names every operation once", () => {
  const ids = runtimeSurface.operations.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(guarded.length).toBeGreaterThan(25);
});

test.for(guarded)("%s answers 401 without a credential and with garbage (T2)", async ([, op]) => {
  const shape = { status: 401, body: { error: { code: "unauthorized", message: expect.any(String) } } };
  expect(await send(op, {})).toMatchObject(shape);
  for (const garbage of ["", "wrn_x", `wrn_${"0".repeat(32)}`]) {
    expect(await send(op, { "x-api-key": garbage })).toMatchObject(shape);
    expect(await send(op, { authorization: `Bearer ${garbage}` })).toMatchObject(shape);
  }
});

test.for(writing)("%s refuses a viewer before it looks at the body", async ([, op]) => {
  const viewer = await tenant("viewer");
  const answer = await call(op.method.toUpperCase(), pathOf(op), { headers: { "x-api-key": viewer.key }, body: "{" });
  expect(answer).toMatchObject({ status: 403, body: { error: { message: `missing permission ${op.permission}` } } });
});

test.for(guarded)("%s checks its permission in the verb too", async ([, op]) => {
  const nobody: Actor = { ...(await tenant()).ctx.actor, kind: "api_key", role: null };
  const params = Object.fromEntries(Object.keys(op.params.shape).map((name) => [name, EXAMPLE_IDS[name]]));
  const query = op.query.parse({ path: "a.txt" });
  const raw = { header: () => undefined, stream: () => new Response("").body, signal: AbortSignal.timeout(5_000) };
  const input = { params, query, body: op.body.parse(BODIES[op.id]), raw, outcome: { status: 200 } };
  await expect(op.run(contextFor(nobody), input as never)).rejects.toMatchObject({ code: "forbidden" });
});

const identified = guarded.filter(([, op]) => op.path.includes("{"));

test.for(identified)("%s tells a foreign id and a missing id alike (T1)", async ([, op]) => {
  const [owner, stranger] = [await tenant(), await tenant()];
  const workspaceId = await owner.workspace();
  const sandboxId = (await owner.call("GET", `/api/v1/sandboxes/${workspaceId}`)).body.id;
  const sessionId = await owner.session(workspaceId);
  const sent = await owner.call("POST", `/api/v1/sessions/${sessionId}/messages`, { content: "hello" });
  const foreign = { workspaceId, sandboxId, sessionId, messageId: sent.body.messageId, runId: sent.body.runId };
  const [there, missing] = [
    await send(op, { "x-api-key": stranger.key }, foreign),
    await send(op, { "x-api-key": stranger.key }),
  ];
  const anonymised = (text: string, ids: Record<string, string>) =>
    Object.entries(ids).reduce((now, [name, id]) => now.replaceAll(id, name), text);
  expect(there.status).toBe(missing.status);
  expect(anonymised(there.text, foreign)).toBe(anonymised(missing.text, EXAMPLE_IDS));
  if (op.id !== "deleteWorkspace") expect(there.status).toBe(404);
});

test("every served path is in the document, and an unknown one answers in the surface's shape", async () => {
  const { body } = await call("GET", "/openapi/runtime.json");
  for (const op of runtimeSurface.operations) expect(body.paths[op.path]?.[op.method]?.operationId).toBe(op.id);
  expect(await call("GET", "/api/v1/nothing")).toMatchObject({
    status: 404,
    body: { error: { code: "route_not_found" } },
  });
  for (const path of ["/openapi/setup.json", "/docs", "/", "/healthz", "/readyz"]) {
    expect((await call("GET", path)).status, path).toBe(200);
  }
});

test("the document of all surfaces is the same in JSON and YAML, and names each operation once", async () => {
  const [json, yaml] = [await call("GET", "/openapi.json"), await call("GET", "/openapi.yaml")];
  expect(yaml).toMatchObject({ status: 200, text: expect.stringMatching(/^openapi: 3\.1\.0\n/) });
  expect(yaml.headers.get("content-type")).toBe("application/yaml");
  expect(parse(yaml.text)).toEqual(json.body);
  const items = Object.values(json.body.paths as Record<string, Record<string, { operationId: string }>>);
  const ids = items.flatMap((item) => Object.values(item).map(({ operationId }) => operationId));
  expect(new Set(ids).size).toBe(ids.length);
  const references = [...json.text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name);
  expect(references.filter((name) => !json.body.components.schemas[name!])).toEqual([]);
});
