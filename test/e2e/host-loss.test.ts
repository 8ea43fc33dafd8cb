import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Started, startedProduct } from "#test/node/started";

let product: Started;
let workspaceId: string;

beforeAll(async () => {
  product = await startedProduct();
  const { body } = await call("POST", "/api/v1/workspaces", { name: "host loss", runtime: "base" });
  workspaceId = body.id;
}, 120_000);

afterAll(async () => {
  await product?.stop();
});

async function call(method: string, path: string, body?: unknown, type = "application/json") {
  const response = await fetch(`${product.url}${path}`, {
    method,
    headers: { "x-api-key": product.apiKey, ...(body !== undefined && { "content-type": type }) },
    ...(body !== undefined && { body: type === "application/json" ? JSON.stringify(body) : (body as Uint8Array) }),
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const isJson = response.headers.get("content-type")?.startsWith("application/json");
  return { status: response.status, bytes, body: isJson ? JSON.parse(new TextDecoder().decode(bytes)) : undefined };
}

const run = (command: string) => call("POST", `/api/v1/sandboxes/${workspaceId}/commands/foreground`, { command });

/** The host agent's process: the child of the product that listens for its sandboxes. */
function agentPid(): number {
  const children = readFileSync(`/proc/${product.process.pid}/task/${product.process.pid}/children`, "utf8");
  const isAgent = (pid: string) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("dist/sandbox/host-agent.mjs");
  return Number(children.trim().split(" ").find(isAgent));
}

test("a first command starts the sandbox, and files written through the API are there for it", async () => {
  const put = `/api/v1/sandboxes/${workspaceId}/files/upload?path=in.bin`;
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
  expect(await call("PUT", put, bytes, "application/octet-stream")).toMatchObject({ status: 200 });
  expect(await run("cp in.bin out.bin; wc -c < out.bin; exit 3")).toMatchObject({
    status: 200,
    body: { stdout: "300000\n", exitCode: 3 },
  });
  const back = await call("GET", `/api/v1/sandboxes/${workspaceId}/files/download?path=out.bin`);
  expect(Buffer.from(back.bytes).equals(Buffer.from(bytes))).toBe(true);
});

test("H1 killing the agent in a command is a clear error at once; the next command works and finds the files", async () => {
  for (let round = 1; round <= 3; round++) {
    const startedAt = Date.now();
    const running = run(`echo ${round} > round.txt; sleep 600`);
    const there = `/api/v1/sandboxes/${workspaceId}/files/content?path=round.txt`;
    await expect.poll(async () => (await call("GET", there)).body?.content, { timeout: 10_000 }).toBe(`${round}\n`);
    process.kill(agentPid(), "SIGKILL");
    expect(await running).toMatchObject({ status: 503, body: { error: { code: "sandbox_host_lost" } } });
    expect(await run("cat round.txt; pgrep -c sleep")).toMatchObject({
      status: 200,
      body: { stdout: `${round}\n0\n` },
    });
    expect(Date.now() - startedAt).toBeLessThan(20_000);
  }
});

test("T1 the sandbox of another workspace id, and one that does not exist, are the same to a caller", async () => {
  const path = "/api/v1/sandboxes/sb_00000000000000000000/commands/foreground";
  expect(await call("POST", path, { command: "id" })).toMatchObject({ status: 404 });
});
