import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import type { FileStat } from "#protocol/supervisor";
import { eventually, onlineHost } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents, supervisorRefusal } from "#test/worker/fake-agent";
import { countOf, request, type Tenant, tenant } from "#test/worker/harness";

const MTIME = Date.UTC(2026, 0, 2, 3, 4, 5);
const statOf = (path: string, size: number): FileStat => ({
  ...{ path, name: path.split("/").at(-1) ?? "", kind: "file", size, mtimeMs: MTIME + 0.5, birthtimeMs: MTIME },
  ...{ permissions: "-rw-r--r--", owner: "sandbox", group: "sandbox" },
  ...{ mode: 420, etag: 'W/"1"', symlinkTarget: null },
});
const directory = (path: string): FileStat => ({ ...statOf(path, 4096), kind: "directory" });

let agent: FakeAgent;
let t: Tenant;
let base: string;
/** What was asked of the inside, and the files that were written there. */
let asked: URL[];
let files: Map<string, Uint8Array>;

const absolute = (path: string) => (path.startsWith("/") ? path : `/workspace/${path}`);

async function inside(message: Request, path: string): Promise<Response> {
  const url = new URL(message.url);
  asked.push(url);
  const at = absolute(url.searchParams.get("path") ?? "");
  const content = files.get(at);
  if (path.startsWith("/health")) return Response.json({ v: 1, pid: 1 });
  if (path.startsWith("/files/content") && message.method === "PUT") {
    const bytes = new Uint8Array(await message.arrayBuffer());
    files.set(at, bytes);
    return Response.json(statOf(at, bytes.length));
  }
  if (path.startsWith("/files/content")) {
    if (!content) return supervisorRefusal("file_not_found");
    const shown = content.slice(0, Number(url.searchParams.get("maxBytes") ?? content.length));
    const stat = encodeURIComponent(JSON.stringify(statOf(at, content.length)));
    return new Response(shown, { headers: { "x-file-stat": stat } });
  }
  if (path.startsWith("/files/stat"))
    return content ? Response.json(statOf(at, content.length)) : supervisorRefusal("entry_not_found");
  if (path.startsWith("/files/list")) {
    const all = [directory("/workspace/d"), ...[...files].map(([name, bytes]) => statOf(name, bytes.length))];
    const from = Number(url.searchParams.get("offset"));
    return Response.json({ entries: all.slice(from, from + Number(url.searchParams.get("limit"))), total: all.length });
  }
  if (path.startsWith("/files/mkdir"))
    return Response.json(directory(absolute((await message.json<{ path: string }>()).path)));
  if (path.startsWith("/files") && message.method === "DELETE") {
    if (url.searchParams.get("recursive") === "false") return supervisorRefusal("directory_not_empty");
    return Response.json({ kind: "directory" });
  }
  const { command, timeoutMs } = await message.json<{ command: string; timeoutMs?: number }>();
  const result = {
    stdout: `ran ${command}`,
    stderr: "",
    encoding: "utf8",
    exitCode: 3,
    signal: null,
    truncated: false,
  };
  return Response.json({ ...result, timedOut: timeoutMs !== undefined, durationMs: 1 });
}

beforeEach(async () => {
  serveFakeAgents();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  agent = await onlineHost();
  [asked, files] = [[], new Map()];
  agent.inside = inside;
  t = await tenant();
  base = `/api/v1/sandboxes/${await t.workspace()}`;
});

test("text and bytes go in and out, by the workspace's id and by the sandbox's own", async () => {
  const put = await t.call("PUT", `${base}/files/content`, { path: "a.json", content: "{}" });
  expect(put).toMatchObject({
    status: 200,
    body: { path: "/workspace/a.json", type: "file", sizeBytes: 2, mimeType: "application/json", readOnly: false },
  });
  const { body: sandbox } = await t.call("GET", base);
  const own = `/api/v1/sandboxes/${sandbox.id}`;
  expect((await t.call("GET", `${own}/files/content?path=a.json`)).body).toMatchObject({
    workspaceId: sandbox.workspaceId,
    content: "{}",
    encoding: "utf8",
    truncated: false,
    updatedAt: "2026-01-02T03:04:05.000Z",
  });
  const bytes = "AP+AQQ==";
  await t.call("PUT", `${base}/files/content`, { path: "b", content: bytes, encoding: "base64" });
  expect((await t.call("GET", `${own}/files/content?path=b&encoding=base64`)).body.content).toBe(bytes);
  const cut = (await t.call("GET", `${own}/files/content?path=b&encoding=base64&maxBytes=2`)).body;
  expect(cut).toMatchObject({ content: "AP8=", truncated: true, sizeBytes: 4 });
});

test("a large upload is streamed, and a download has an HTTP date and a name that forges no header", async () => {
  const size = 3 * 1024 * 1024;
  const upload = await t.call("PUT", `${base}/files/upload?path=big&overwrite=0&mtimeMs=5`, "x".repeat(size), {
    "content-type": "application/octet-stream",
  });
  expect(upload).toMatchObject({ status: 200, body: { sizeBytes: size } });
  const query = asked.at(-1)?.searchParams;
  expect([query?.get("overwrite"), query?.get("mtimeMs")]).toEqual(["false", "5"]);
  const name = `it's "ü"\r\nx: y.txt`;
  files.set(`/workspace/${name}`, new TextEncoder().encode("hello"));
  const response = await request("GET", `${base}/files/download?path=${encodeURIComponent(name)}`, {
    headers: { "x-api-key": t.key },
  });
  expect(await response.text()).toBe("hello");
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "content-type": "application/octet-stream",
    "last-modified": "Fri, 02 Jan 2026 03:04:05 GMT",
    "content-disposition": "attachment; filename*=UTF-8''it%27s%20%22%C3%BC%22%0D%0Ax%3A%20y.txt",
    etag: 'W/"1"',
  });
});

test("entries page by offset and tell size and type of files alone", async () => {
  for (const name of ["a", "b"]) files.set(`/workspace/${name}`, new Uint8Array(1));
  const first = await t.call("GET", `${base}/files/entries?pageSize=2`);
  expect(first.body).toMatchObject({
    path: "/workspace",
    nextCursor: "2",
    items: [{ type: "directory" }, { sizeBytes: 1 }],
  });
  expect(first.body.items[0]).not.toHaveProperty("sizeBytes");
  const second = await t.call("GET", `${base}/files/entries?pageSize=2&cursor=2`);
  expect(second.body.items).toHaveLength(1);
  expect(second.body).not.toHaveProperty("nextCursor");
});

test("recursive=false means false, and true deletes", async () => {
  for (const no of ["false", "0", "no"]) {
    const kept = await t.call("DELETE", `${base}/files/entry?path=d&recursive=${no}`);
    expect(kept).toMatchObject({ status: 409, body: { error: { code: "workspace_directory_not_empty" } } });
  }
  expect(await t.call("DELETE", `${base}/files/entry?path=d&recursive=true`)).toMatchObject({
    status: 200,
    body: { path: "d", type: "directory", deleted: true },
  });
  expect((await t.call("DELETE", `${base}/files/entry?path=d&recursive=maybe`)).status).toBe(400);
});

test.for<[path: string, status: number, code: string]>([
  ["files/content?path=none", 404, "workspace_file_not_found"],
  ["files/stat?path=none", 404, "workspace_entry_not_found"],
  ["files/stat", 400, "invalid_request"],
  ["files/content?path=", 400, "invalid_request"],
  ["files/content?path=a&encoding=latin1", 400, "invalid_request"],
])("GET %s is refused with %i %s", async ([path, status, code]) => {
  expect(await t.call("GET", `${base}/${path}`)).toMatchObject({ status, body: { error: { code } } });
});

test("a read-only workspace is read, and refuses every change of its files (contract section 17)", async () => {
  files.set("/workspace/a", new Uint8Array(1));
  await env.DB.prepare("UPDATE workspaces SET read_only = 1 WHERE team_id = ?").bind(t.teamId).run();
  expect((await t.call("GET", `${base}/files/entries`)).body.items).toContainEqual(
    expect.objectContaining({ path: "/workspace/a", readOnly: true }),
  );
  asked = [];
  const octets = { "content-type": "application/octet-stream" };
  for (const answer of [
    await t.call("PUT", `${base}/files/content`, { path: "b", content: "x" }),
    await t.call("PUT", `${base}/files/upload?path=b`, "x", octets),
    await t.call("PATCH", `${base}/files/move`, { sourcePath: "a", targetPath: "b" }),
    await t.call("POST", `${base}/directories`, { path: "d" }),
    await t.call("DELETE", `${base}/files/entry?path=a`),
  ]) {
    expect(answer).toMatchObject({ status: 403, body: { error: { code: "workspace_read_only" } } });
  }
  expect(asked).toEqual([]);
});

test("a command answers with its exit code; one over its time is 504", async () => {
  const run = (body: object) => t.call("POST", `${base}/commands/foreground`, body);
  expect(await run({ command: "x" })).toMatchObject({
    status: 200,
    body: { stdout: "ran x", stderr: "", exitCode: 3 },
  });
  expect(await run({ command: "x", timeoutMs: 5 })).toMatchObject({
    status: 504,
    body: { error: { code: "sandbox_command_timeout" } },
  });
  expect((await run({ command: "" })).status).toBe(400);
});

test("AGENTS.md, skills and tool servers of a new workspace are in its sandbox", async () => {
  const answer = await t.call("POST", "/api/v1/workspaces", {
    ...{ name: "n", runtime: "base", agentsMd: "# Rules" },
    skills: [{ name: "greet", content: "say hi" }],
    toolServers: { docs: { url: "https://docs.example" } },
  });
  expect(answer.status).toBe(201);
  const text = (path: string) => new TextDecoder().decode(files.get(`/workspace/${path}`));
  expect(text("AGENTS.md")).toBe("# Rules");
  expect(text(".openharness/skills/greet/SKILL.md")).toBe("say hi");
  expect(JSON.parse(text(".openharness/tools/settings.yaml"))).toEqual({ docs: { url: "https://docs.example" } });
});

test("a workspace whose files could not be written does not exist, and the refusal may be repeated", async () => {
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  const before = await countOf("workspaces", "team_id = ?", t.teamId);
  const create = () =>
    t.call("POST", "/api/v1/workspaces", { name: "n", runtime: "base", agentsMd: "x" }, { "idempotency-key": "k" });
  expect(await create()).toMatchObject({ status: 503, body: { error: { code: "sandbox_host_unavailable" } } });
  expect(await countOf("workspaces", "team_id = ?", t.teamId)).toBe(before);
  await env.DB.prepare("UPDATE hosts SET status = 'online' WHERE id = ?").bind(agent.hostId).run();
  expect((await create()).status).toBe(201);
});

test("a client that leaves while a workspace is made finds it under its key as soon as it is there (R6)", async () => {
  let letGo = () => {};
  agent.gate = new Promise((resolve) => {
    letGo = resolve;
  });
  const body = { name: "n", runtime: "base", agentsMd: "x" };
  const headers = { "idempotency-key": "k", "content-type": "application/json" };
  const client = new AbortController();
  const leaving = request("POST", "/api/v1/workspaces", {
    ...{ body, headers: { "x-api-key": t.key, ...headers }, signal: client.signal },
  });
  await eventually(() => expect(agent.count("PUT")).toBe(1));
  client.abort();
  await expect(leaving).rejects.toThrow();
  const create = () => t.call("POST", "/api/v1/workspaces", body, headers);
  expect((await create()).status).toBe(409);
  letGo();
  const answer = await eventually(async () => {
    const { status, headers } = await create();
    expect(status).toBe(201);
    return headers;
  });
  expect(answer.get("idempotent-replayed")).toBe("true");
  expect(await countOf("workspaces", "team_id = ? AND name = 'n'", t.teamId)).toBe(1);
});
