import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Api, api } from "#scripts/lib/api";
import { endsRun, readEvents, type StreamedEvent } from "#scripts/lib/read-events";
import { say, call as toolCall, turn } from "#test/node/model-script";
import { ModelServer } from "#test/node/model-server";
import { type Started, startedProduct } from "#test/node/started";

let model: ModelServer;
let product: Started;
let call: Api;
let workspaceId: string;

beforeAll(async () => {
  model = await ModelServer.start();
  product = await startedProduct({
    MODELS: JSON.stringify({
      default: "builtin/shell",
      models: { scripted: { provider: "openai-compatible", model: "scripted", url: model.url } },
    }),
  });
  call = api(product.url, { "x-api-key": product.apiKey });
  workspaceId = (await call<{ id: string }>("POST", "/api/v1/workspaces", { name: "e2e", runtime: "base" })).id;
}, 120_000);

afterAll(async () => {
  expect(await product?.stop()).toBe(0);
  await model?.close();
});

const session = async (body: Record<string, unknown>) =>
  (await call<{ id: string }>("POST", `/api/v1/workspaces/${workspaceId}/sessions`, body)).id;

async function runToEnd(sessionId: string, content: string): Promise<StreamedEvent[]> {
  const { runId } = await call<{ runId: string }>("POST", `/api/v1/sessions/${sessionId}/messages`, { content });
  const events: StreamedEvent[] = [];
  const { url, apiKey } = product;
  await readEvents({ url, apiKey, sessionId }, (event) => events.push(event), endsRun(runId));
  return events;
}

const textOf = (events: StreamedEvent[]) => events.map(({ data }) => data.delta ?? "").join("");

test("a run of builtin/shell executes its command in an isolated sandbox and streams what it said", async () => {
  const sessionId = await session({ agentName: "builder" });
  const events = await runToEnd(sessionId, "$ echo marker-$((6*7)) > made.txt; cat made.txt; hostname");
  expect(events.map(({ type }) => type)).toEqual(
    expect.arrayContaining(["run.started", "tool.completed", "run.completed"]),
  );
  expect(textOf(events)).toContain("marker-42");
  const file = await call<{ content: string }>("GET", `/api/v1/sandboxes/${workspaceId}/files/content?path=made.txt`);
  expect(file.content).toBe("marker-42\n");
  expect(textOf(events)).not.toContain(readFileSync("/etc/hostname", "utf8").trim());
});

test("a run of a scripted model calls tools, sees their results and answers", async () => {
  model.script("forge", [
    turn(toolCall("Write", { file_path: "/workspace/forged.txt", content: "iron" })),
    turn(toolCall("Bash", { command: "cat forged.txt && exit 3" })),
    say("It says ", "iron."),
  ]);
  const sessionId = await session({ agentName: "builder", modelRef: "scripted" });
  const events = await runToEnd(sessionId, "please script:forge");
  expect(events.at(-1)?.type).toBe("run.completed");
  expect(textOf(events)).toContain("It says iron.");
  const seen = JSON.stringify(model.requests.at(-1));
  expect(seen).toContain("iron");
  expect(seen).toContain("3");
});

test("R1: what was stored before a restart of nothing but the reader is all there after it", async () => {
  const sessionId = await session({ agentName: "builder" });
  const first = await runToEnd(sessionId, "$ echo once");
  const again: StreamedEvent[] = [];
  await readEvents(
    { url: product.url, apiKey: product.apiKey, sessionId },
    (event) => again.push(event),
    ({ id }) => id === first.at(-1)?.id,
  );
  expect(again).toEqual(first);
});

test("H1: killing the host agent in mid-command gives a typed error in time, and the next command works", async () => {
  const path = `/api/v1/sandboxes/${workspaceId}/commands/foreground`;
  await call("POST", path, { command: "echo kept > kept.txt" });
  const headers = { "x-api-key": product.apiKey, "content-type": "application/json" };
  const body = JSON.stringify({ command: "touch begun; sleep 60" });
  const cut = fetch(product.url + path, { method: "POST", headers, body });
  await expect
    .poll(
      () =>
        fetch(`${product.url}/api/v1/sandboxes/${workspaceId}/files/stat?path=begun`, { headers }).then(
          (r) => r.status,
        ),
      {
        timeout: 10_000,
      },
    )
    .toBe(200);
  const killedAt = performance.now();
  process.kill(product.agentPid, "SIGKILL");
  const answer = await cut;
  expect(performance.now() - killedAt).toBeLessThan(10_000);
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ error: { code: "sandbox_host_lost" } });
  await expect
    .poll(
      async () =>
        (
          await fetch(product.url + path, {
            method: "POST",
            headers,
            body: JSON.stringify({ command: "cat kept.txt" }),
          })
        ).json(),
      {
        timeout: 30_000,
      },
    )
    .toMatchObject({ stdout: "kept\n", exitCode: 0 });
});

test("secrets of the deployment stand in no log line (T10)", () => {
  const log = readFileSync(join(product.dataDir, "longshore.log"), "utf8");
  const secrets = JSON.parse(readFileSync(join(product.dataDir, "secrets.json"), "utf8")) as Record<string, string>;
  for (const secret of [product.apiKey, ...Object.values(secrets)]) expect(log).not.toContain(secret);
});
