import { describe, expect, test } from "vitest";
import { call, tenant } from "#test/worker/harness";

const JSON_TYPE = { "content-type": "application/json" };
const deep = (depth: number) => `{"name":"n","runtime":"base","x":${"[".repeat(depth)}${"]".repeat(depth)}}`;

describe("hostile bodies are refused in the surface's shape, never with 5xx (I1, I2)", () => {
  test.for<[why: string, body: string | Uint8Array, status: number]>([
    ["nothing", "", 400],
    ["only space", "  \n", 400],
    ["not JSON", "{", 400],
    ["a list", "[]", 400],
    ["null", "null", 400],
    ["wrong types", '{"name":7,"runtime":{}}', 400],
    ["a number past all", '{"name":"n","runtime":"base","ownerId":1e400}', 400],
    ["depth 10 000", deep(10_000), 400],
    ["depth 101", deep(101), 400],
    ["a lone surrogate", '{"name":"\\ud800","runtime":"base"}', 400],
    ["a lone surrogate as key", '{"name":"n","runtime":"base","toolServers":{"\\udc00":{}}}', 400],
    ["wrong UTF-8", new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]), 400],
    ["more than 1 MiB", `{"name":"${"x".repeat(1024 * 1024)}"}`, 413],
  ])("%s", async ([, body, status]) => {
    const t = await tenant();
    const answer = await t.call("POST", "/api/v1/workspaces", body, JSON_TYPE);
    expect(answer).toMatchObject({
      status,
      body: { error: { code: expect.any(String), message: expect.any(String) } },
    });
  });

  const body = '{"name":"n","runtime":"base"}';
  test.for<[type: string | null, body: string | undefined]>([
    ["text/plain", body],
    ["application/x-www-form-urlencoded", "name=n"],
    ["application/vnd.api+json", body],
    ["application/jsonx", body],
    ["", body],
    ["application/json;=;;", body],
    [null, undefined],
  ])("content type %s", async ([type, body]) => {
    const t = await tenant();
    const headers: Record<string, string> = type === null ? {} : { "content-type": type };
    expect(await t.call("POST", "/api/v1/workspaces", body, headers)).toMatchObject({
      status: 415,
      body: { error: { code: "invalid_content_type" } },
    });
  });
});

test.for<[why: string, name: string]>([
  ["NUL", "a\u0000b"],
  ["separators", "a\u2028b\u2029c\u0085d"],
  ["directions and joiners", "\u202eabc\u200d\ufeff"],
  ["escaped pairs", "\ud83d\ude80"],
  ["markup", `</script><img src=x onerror=alert(1)>"'`],
  ["SQL", "'; DROP TABLE workspaces; --"],
])("text with %s comes back exactly (I2)", async ([, name]) => {
  const t = await tenant();
  const { status, body } = await t.call("POST", "/api/v1/workspaces", { name, runtime: "base" });
  expect({ status, name: body.name }).toEqual({ status: 201, name });
  expect((await t.call("GET", `/api/v1/workspaces/${body.id}`)).body.name).toBe(name);
});

test("a refusal names the field", async () => {
  const t = await tenant();
  const { body } = await t.call("POST", "/api/v1/workspaces", { name: "n", runtime: "base", skills: [{ name: 3 }] });
  expect(body.error.message).toMatch(/^body\.skills\.0\.name: /);
  expect(body.error.details.issues.length).toBeGreaterThan(1);
});

test.for([
  "/api/v1/workspaces/%00",
  "/api/v1/workspaces/%ff%fe",
  "/api/v1/workspaces/..%2f..%2fetc",
  `/api/v1/workspaces/${"x".repeat(4_000)}`,
  "/api/v1/sessions/ses_'%20OR%201=1",
  "/api/v1/runs/run_0000000000abcdefghjk_99999999999",
  "/api/v1/sandboxes/%F0%9F%9A%80",
  "/api/v1/workspaces?pageSize=1e9",
  "/api/v1/workspaces?pageSize=%00&cursor=-1",
  "/api/v1//workspaces",
])("%s is a plain refusal (I1)", async (path) => {
  const t = await tenant();
  const { status, body } = await t.call("GET", path);
  expect(status).toBeGreaterThanOrEqual(400);
  expect(status).toBeLessThan(500);
  expect(body.error.code).toEqual(expect.any(String));
});

test("request ids are taken when sane, made otherwise, and always answered", async () => {
  const id = async (headers: Record<string, string>) =>
    (await call("GET", "/healthz", { headers })).headers.get("x-request-id");
  expect(await id({ "x-request-id": "abc-1.2:3" })).toBe("abc-1.2:3");
  for (const bad of ["a b", "x".repeat(101), '"}{"']) {
    expect(await id({ "x-request-id": bad })).toMatch(/^op_[0-9a-z]{20}$/);
  }
  expect(await id({})).not.toBe(await id({}));
});

test("every answer carries the protective headers", async () => {
  for (const path of ["/healthz", "/docs", "/api/v1/nothing", "/openapi.json"]) {
    const { headers } = await call("GET", path);
    expect(headers.get("x-content-type-options"), path).toBe("nosniff");
    expect(headers.get("content-security-policy"), path).toContain("default-src 'none'");
    expect(headers.get("x-frame-options"), path).toBe("DENY");
  }
});

test("health tells what is true", async () => {
  expect(await call("GET", "/healthz")).toMatchObject({
    status: 200,
    body: { status: "ok", checks: { directory: "up" } },
  });
  expect(await call("GET", "/readyz")).toMatchObject({ status: 200, body: { status: "ready" } });
});

test("names and titles over 1000 characters are refused, or a page of them would outgrow an answer", async () => {
  const t = await tenant();
  const long = "x".repeat(1_001);
  for (const field of ["name", "externalRef", "ownerId"]) {
    const body = { name: "n", runtime: "base", [field]: long };
    expect((await t.call("POST", "/api/v1/workspaces", body)).status, field).toBe(400);
  }
  const sessions = `/api/v1/workspaces/${await t.workspace()}/sessions`;
  expect((await t.call("POST", sessions, { title: long })).status).toBe(400);
  expect((await t.call("POST", sessions, { title: long.slice(1) })).status).toBe(201);
});
