import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readEvents, type StreamedEvent } from "#scripts/lib/read-events";
import { say, call as toolCall, turn } from "#test/node/model-script";
import { ScriptedProduct } from "#test/node/scripted-product";

let world: ScriptedProduct;

beforeAll(async () => {
  world = await ScriptedProduct.start("e2e", "builtin/shell");
}, 120_000);

afterAll(async () => {
  expect(await world?.stop()).toBe(0);
});

const runToEnd = async (sessionId: string, content: string) =>
  world.eventsUntil(sessionId, await world.send(sessionId, content));

const textOf = (events: StreamedEvent[]) => events.map(({ data }) => data.delta ?? "").join("");

test("a run of builtin/shell executes its command in an isolated sandbox and streams what it said", async () => {
  const sessionId = await world.session();
  const events = await runToEnd(sessionId, "$ echo marker-$((6*7)) > made.txt; cat made.txt; hostname");
  expect(events.map(({ type }) => type)).toEqual(
    expect.arrayContaining(["run.started", "tool.completed", "run.completed"]),
  );
  expect(textOf(events)).toContain("marker-42");
  const file = await world.call<{ content: string }>(
    "GET",
    `/api/v1/sandboxes/${world.workspaceId}/files/content?path=made.txt`,
  );
  expect(file.content).toBe("marker-42\n");
  expect(textOf(events)).not.toContain(readFileSync("/etc/hostname", "utf8").trim());
});

test("a run of a scripted model calls tools, sees their results and answers", async () => {
  world.model.script("forge", [
    turn(toolCall("Write", { file_path: "/workspace/forged.txt", content: "iron" })),
    turn(toolCall("Bash", { command: "cat forged.txt && exit 3" })),
    say("It says ", "iron."),
  ]);
  const sessionId = await world.session({ modelRef: "scripted" });
  const events = await runToEnd(sessionId, "please script:forge");
  expect(events.at(-1)?.type).toBe("run.completed");
  expect(textOf(events)).toContain("It says iron.");
  const seen = JSON.stringify(world.model.requests.at(-1));
  expect(seen).toContain("iron");
  expect(seen).toContain("3");
});

test("R1: what was stored before a restart of nothing but the reader is all there after it", async () => {
  const sessionId = await world.session();
  const first = await runToEnd(sessionId, "$ echo once");
  const { url, apiKey } = world.product;
  const again: StreamedEvent[] = [];
  await readEvents(
    { url, apiKey, sessionId },
    (event) => again.push(event),
    ({ id }) => id === first.at(-1)?.id,
  );
  expect(again).toEqual(first);
});

test("H1: killing the host agent in mid-command gives a typed error in time, and the next command works", async () => {
  const path = `/api/v1/sandboxes/${world.workspaceId}/commands/foreground`;
  await world.call("POST", path, { command: "echo kept > kept.txt" });
  const headers = { "x-api-key": world.product.apiKey, "content-type": "application/json" };
  const body = JSON.stringify({ command: "touch begun; sleep 60" });
  const cut = fetch(world.product.url + path, { method: "POST", headers, body });
  await expect
    .poll(
      () =>
        fetch(`${world.product.url}/api/v1/sandboxes/${world.workspaceId}/files/stat?path=begun`, { headers }).then(
          (r) => r.status,
        ),
      {
        timeout: 10_000,
      },
    )
    .toBe(200);
  const killedAt = performance.now();
  process.kill(world.product.agentPid, "SIGKILL");
  const answer = await cut;
  expect(performance.now() - killedAt).toBeLessThan(10_000);
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ error: { code: "sandbox_host_lost" } });
  await expect
    .poll(
      async () =>
        (
          await fetch(world.product.url + path, {
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
  const log = readFileSync(join(world.product.dataDir, "longshore.log"), "utf8");
  const secrets = JSON.parse(readFileSync(join(world.product.dataDir, "secrets.json"), "utf8")) as Record<
    string,
    string
  >;
  for (const secret of [world.product.apiKey, ...Object.values(secrets)]) expect(log).not.toContain(secret);
});
