import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import { bytes, type Capsule, runningCapsule } from "#test/worker/capsule";
import { eventually, newSandbox, rowOf } from "#test/worker/control";
import { FORM_TYPE, formOf } from "#test/worker/forms";
import { tenant } from "#test/worker/harness";

let agent: Capsule["agent"];
let inside: Capsule["inside"];
let t: Capsule["t"];
let id: string;
let post: Capsule["post"];
let open: Capsule["open"];

beforeEach(async () => {
  ({ agent, inside, t, id, post, open } = await runningCapsule());
});

test("a download names the file without forging a header; the streamed one is chunked (R246, R261)", async () => {
  const name = `it's "ü"\r\nx: y.txt`;
  inside.files.set(`/workspace/${name}`, bytes("hello"));
  const [whole, streamed] = [await open("read", { path: name }), await open("stream/read", { path: name })];
  for (const response of [whole, streamed]) {
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("hello");
    expect(response.headers.get("content-disposition")).toBe(
      "attachment; filename*=UTF-8''it%27s%20%22%C3%BC%22%0D%0Ax%3A%20y.txt",
    );
    expect(response.headers.get("x")).toBeNull();
  }
  expect(streamed.headers.get("content-length")).toBeNull();
});

test("a streamed download begins before the file was read to its end (R261)", async () => {
  inside.files.set("/workspace/slow", new Uint8Array(10));
  const header = (await inside.inside(new Request("http://a/?path=slow"), "/files/content")).headers.get(
    "x-file-stat",
  )!;
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  agent.inside = () => {
    let sent = 0;
    const body = new ReadableStream({
      async pull(controller) {
        if (sent++ === 1) await released;
        controller.enqueue(bytes("hello"));
        if (sent === 2) controller.close();
      },
    });
    return new Response(body, { headers: { "x-file-stat": header } });
  };
  const reader = (await open("stream/read", { path: "slow" })).body!.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("hello");
  release();
  expect((await reader.read()).done).toBe(false);
});

test("files/list shows children, by depth also what is below them, with all that is known (R249, R250, R251, A36)", async () => {
  for (const one of ["/workspace/d", "/workspace/d/e"]) inside.directories.add(one);
  inside.files.set("/workspace/d/e/f", bytes("four"));
  inside.links.set("/workspace/l", "d");
  const list = async (body: object) => (await post("list", body)).body.entries;
  const children = await list({ path: "/workspace" });
  const common = { size: 0, modified_at: Date.UTC(2026, 0, 2, 3, 4, 5) / 1000, owner: "sandbox", group: "users" };
  const d = { name: "d", path: "/workspace/d", type: "directory", mode: 0o755, permissions: "drwxr-xr-x" };
  const l = { name: "l", path: "/workspace/l", type: "symlink", mode: 0o755, permissions: "lrwxrwxrwx" };
  expect(children).toEqual([
    { ...d, ...common, symlink_target: null },
    { ...l, ...common, symlink_target: "d" },
  ]);
  expect(await list({ path: "/workspace", depth: 0 })).toEqual(children);
  expect(await list({ path: "/workspace", depth: 1 })).toEqual(children);
  const paths = (entries: { path: string }[]) => entries.map(({ path }) => path);
  expect(paths(await list({ path: "/workspace", depth: 2 }))).toEqual([
    "/workspace/d",
    "/workspace/d/e",
    "/workspace/l",
  ]);
  expect((await list({ path: "/workspace", depth: 3 }))[2]).toMatchObject({ path: "/workspace/d/e/f", size: 4 });
});

test("files/list of a missing path is 404, of a file 400, of an empty directory no entries (R252, A37)", async () => {
  inside.files.set("/workspace/f", bytes("x"));
  expect(await post("list", { path: "none" })).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
  expect(await post("list", { path: "f" })).toMatchObject({
    status: 400,
    body: { error: { code: "invalid_request" } },
  });
  inside.files.clear();
  expect(await post("list", { path: "/workspace" })).toMatchObject({ status: 200, body: { entries: [] } });
});

test("a listing that does not show everything says so", async () => {
  for (let i = 0; i < 10_001; i++) inside.links.set(`/workspace/l${i}`, "x");
  const { headers, body } = await post("list", { path: "/workspace" });
  expect([body.entries.length, headers.get("x-list-truncated")]).toEqual([10_000, "true"]);
});

test("files/mkdir answers the new directory; one that is there is 409, a file there 400 (R253, R254, R255, A10)", async () => {
  const made = await post("mkdir", { path: "/workspace/a/b" });
  expect(made).toMatchObject({
    status: 200,
    body: { entry: { path: "/workspace/a/b", name: "b", type: "directory" } },
  });
  expect(await post("mkdir", { path: "/workspace/a/b" })).toMatchObject({
    status: 409,
    body: { error: { code: "already_exists" } },
  });
  inside.files.set("/workspace/f", bytes("x"));
  expect(await post("mkdir", { path: "f" })).toMatchObject({
    status: 400,
    body: { error: { code: "invalid_request" } },
  });
});

test("files/remove removes a tree; what is missing is 404, the root 400 (R256, R257, A38)", async () => {
  inside.directories.add("/workspace/d");
  inside.files.set("/workspace/d/f", bytes("x"));
  expect(await post("remove", { path: "d" })).toMatchObject({ status: 204, text: "" });
  expect(inside.asked.at(-1)?.query.recursive).toBe("true");
  expect([inside.files.size, inside.directories.has("/workspace/d")]).toEqual([0, false]);
  expect(await post("remove", { path: "d" })).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
  expect(await post("remove", { path: "/workspace" })).toMatchObject({ status: 400 });
});

test("a path that is missing or empty is 400 everywhere, as is a depth that is none (R264)", async () => {
  for (const operation of ["read", "stream/read", "list", "mkdir", "remove"]) {
    for (const body of [{}, { path: "" }, { path: 5 }]) {
      expect(await post(operation, body), operation).toMatchObject({
        status: 400,
        body: { error: { code: "invalid_request" } },
      });
    }
  }
  for (const depth of [-1, 1.5, "1"]) expect((await post("list", { path: "a", depth })).status).toBe(400);
  expect(inside.asked).toEqual([]);
});

const EVERY = [
  ...["read", "stream/read", "list", "mkdir", "remove"].map(
    (operation) => [operation, { path: "x" }, undefined] as const,
  ),
  ...["write", "stream/write"].map(
    (operation) => [operation, formOf(["path", "x"], ["file", bytes("x")]), FORM_TYPE] as const,
  ),
];

test("a capsule that is unknown or another team's is 404, one that does not run 409 and stays so (R247, R258, A23)", async () => {
  const theirs = await newSandbox((await tenant()).teamId);
  const still = await newSandbox(t.teamId);
  for (const [operation, body, type] of EVERY) {
    const send = (capsule: string) => post(operation, body, { type, capsule });
    for (const capsule of [theirs, "sb_00000000000000000000", "nonsense"]) {
      expect(await send(capsule), operation).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
    }
    expect(await send(still), operation).toMatchObject({ status: 409, body: { error: { code: "invalid_state" } } });
  }
  expect(await rowOf("sandboxes", still)).toMatchObject({ status: "pending" });
  expect(agent.running.has(still)).toBe(false);
  await env.SANDBOX.getByName(id).stop(t.teamId);
  await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "stopped" }));
  for (const [operation, body, type] of EVERY) {
    expect((await post(operation, body, { type })).status, operation).toBe(409);
  }
});

test("a file that is missing is 404 (R247)", async () => {
  for (const operation of ["read", "stream/read"]) {
    expect(await post(operation, { path: "x" })).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
  }
});

test("using files is no activity, so an idle capsule still pauses (A32)", async () => {
  const object = env.SANDBOX.getByName(id);
  const lastActive = () =>
    runInDurableObject(object, (_, { storage }) => storage.sql.exec("SELECT last_active_at FROM sandbox").one());
  const before = await lastActive();
  for (const [operation, body, type] of EVERY) await post(operation, body, { type });
  expect(inside.asked.length).toBeGreaterThanOrEqual(EVERY.length);
  expect(await lastActive()).toEqual(before);
  await object.route(t.teamId);
  expect(await lastActive()).not.toEqual(before);
});

test("files of a read-only workspace are read and not changed, also through here", async () => {
  const workspaceId = await t.workspace();
  await t.call("PUT", `/api/v1/sandboxes/${workspaceId}/files/content`, { path: "a", content: "x" });
  await env.DB.prepare("UPDATE workspaces SET read_only = 1 WHERE team_id = ?").bind(t.teamId).run();
  const { body: sandbox } = await t.call("GET", `/api/v1/sandboxes/${workspaceId}`);
  inside.asked.length = 0;
  for (const [operation, body, type] of EVERY.slice(3)) {
    expect(await post(operation, body, { type, capsule: sandbox.id })).toMatchObject({
      status: 403,
      body: { error: { code: "forbidden" } },
    });
  }
  expect(inside.asked).toEqual([]);
  expect((await post("read", { path: "a" }, { capsule: sandbox.id })).status).toBe(200);
});

test("a viewer reads and lists, and changes nothing (T3)", async () => {
  const viewer = await tenant("viewer");
  const capsule = await newSandbox(viewer.teamId);
  await env.SANDBOX.getByName(capsule).start(viewer.teamId);
  for (const [operation, body, type] of EVERY) {
    const headers = { "content-type": type ?? "application/json" };
    const { status } = await viewer.call("POST", `/v1/capsules/${capsule}/files/${operation}`, body, headers);
    expect(status === 403, operation).toBe(!["read", "stream/read", "list"].includes(operation));
  }
});
