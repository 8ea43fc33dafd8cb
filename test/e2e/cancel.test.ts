import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Api, api } from "#scripts/lib/api";
import { endsRun, readEvents, type StreamedEvent } from "#scripts/lib/read-events";
import { say, call as toolCall, turn } from "#test/node/model-script";
import { ModelServer } from "#test/node/model-server";
import { type Started, startedProduct } from "#test/node/started";

const OFFSETS_MS = [0, 2, 5, 10, 15, 20, 30, 40, 50, 65, 80, 100, 150, 250, 400];
const LAST_WRITE_MS = 100;

let model: ModelServer;
let product: Started;
let call: Api;
let workspaceId: string;

beforeAll(async () => {
  model = await ModelServer.start();
  product = await startedProduct({
    MODELS: JSON.stringify({
      default: "scripted",
      models: { scripted: { provider: "openai-compatible", model: "scripted", url: model.url } },
    }),
  });
  call = api(product.url, { "x-api-key": product.apiKey });
  workspaceId = (await call<{ id: string }>("POST", "/api/v1/workspaces", { name: "cancel", runtime: "base" })).id;
  await call("POST", `/api/v1/sandboxes/${workspaceId}/commands/foreground`, { command: "true" });
  model.script("after", [say("still here")]);
}, 120_000);

afterAll(async () => {
  expect(await product?.stop()).toBe(0);
  await model?.close();
});

const newSession = async () =>
  (await call<{ id: string }>("POST", `/api/v1/workspaces/${workspaceId}/sessions`, { agentName: "builder" })).id;

const send = async (sessionId: string, content: string, runningRunBehavior?: string) => {
  const body = { content, ...(runningRunBehavior && { runningRunBehavior }) };
  return (await call<{ runId: string }>("POST", `/api/v1/sessions/${sessionId}/messages`, body)).runId;
};

/** Scripts a run whose command, and a child that left its group, write the time to `file` every few milliseconds. */
function scriptTicking(file: string): void {
  const loop = `while :; do date +%s%3N >>${file}; sleep 0.003; done`;
  model.script(file, [turn(toolCall("Bash", { command: `(setsid sh -c '${loop}' &); ${loop}` })), say("never said")]);
}

/** The times in a file of the workspace; none when it was never made. */
async function ticks(file: string): Promise<number[]> {
  const path = `/api/v1/sandboxes/${workspaceId}/files/content?path=${file}`;
  const response = await fetch(product.url + path, { headers: { "x-api-key": product.apiKey } });
  if (response.status === 404) return [];
  return ((await response.json()) as { content: string }).content.trim().split("\n").map(Number);
}

const isTicking = (file: string) => expect.poll(async () => (await ticks(file)).length, { timeout: 20_000 });

/** Every event of a session up to the end of a run. */
async function eventsUntil(sessionId: string, runId: string): Promise<StreamedEvent[]> {
  const events: StreamedEvent[] = [];
  const source = { url: product.url, apiKey: product.apiKey, sessionId, cursor: 0 };
  await readEvents(source, (event) => events.push(event), endsRun(runId));
  return events;
}

const endsOf = (events: StreamedEvent[], runId: string) => events.filter(endsRun(runId)).map(({ type }) => type);

test.for(OFFSETS_MS)(
  "R7: cancelled %d ms after its message, a run stops writing and the next one works",
  async (ms) => {
    const sessionId = await newSession();
    const file = `ticks-${ms}`;
    scriptTicking(file);
    const runId = await send(sessionId, `please script:${file}`);
    await sleep(ms);
    await call("POST", `/api/v1/runs/${runId}/cancel`);
    const acknowledgedAt = Date.now();
    await eventsUntil(sessionId, runId);
    const next = await send(sessionId, "please script:after");
    const events = await eventsUntil(sessionId, next);
    expect(endsOf(events, runId)).toEqual(["run.cancelled"]);
    expect(endsOf(events, next)).toEqual(["run.completed"]);
    expect(Math.max(0, ...(await ticks(file)))).toBeLessThanOrEqual(acknowledgedAt + LAST_WRITE_MS);
    await call("POST", `/api/v1/runs/${runId}/cancel`);
    expect(await call("GET", `/api/v1/runs/${runId}`)).toMatchObject({ status: "cancelled" });
  },
);

test("R7: a command that has been writing for a while stops within 100 ms of the cancel", async () => {
  const sessionId = await newSession();
  scriptTicking("ticks-long");
  const runId = await send(sessionId, "please script:ticks-long");
  await isTicking("ticks-long").toBeGreaterThan(20);
  await call("POST", `/api/v1/runs/${runId}/cancel`);
  const acknowledgedAt = Date.now();
  expect(endsOf(await eventsUntil(sessionId, runId), runId)).toEqual(["run.cancelled"]);
  const last = Math.max(...(await ticks("ticks-long")));
  expect(last).toBeLessThanOrEqual(acknowledgedAt + LAST_WRITE_MS);
});

test("R7: an interrupting message stops the command and is answered", async () => {
  const sessionId = await newSession();
  scriptTicking("ticks-interrupt");
  const first = await send(sessionId, "please script:ticks-interrupt");
  await isTicking("ticks-interrupt").toBeGreaterThan(5);
  const second = await send(sessionId, "please script:after", "interrupt");
  const acknowledgedAt = Date.now();
  const events = await eventsUntil(sessionId, second);
  expect(endsOf(events, first)).toEqual(["run.cancelled"]);
  expect(endsOf(events, second)).toEqual(["run.completed"]);
  expect(Math.max(...(await ticks("ticks-interrupt")))).toBeLessThanOrEqual(acknowledgedAt + LAST_WRITE_MS);
});

test("R7: guiding a queued run stops the command and runs it next", async () => {
  const sessionId = await newSession();
  scriptTicking("ticks-guide");
  const first = await send(sessionId, "please script:ticks-guide");
  await isTicking("ticks-guide").toBeGreaterThan(5);
  const waiting = await send(sessionId, "please script:after");
  const guided = await send(sessionId, "please script:after");
  await call("POST", `/api/v1/runs/${guided}/guide`);
  const acknowledgedAt = Date.now();
  const events = await eventsUntil(sessionId, waiting);
  expect(events.filter(({ type }) => type === "run.completed").map(({ data }) => data.runId)).toEqual([
    guided,
    waiting,
  ]);
  expect(endsOf(events, first)).toEqual(["run.cancelled"]);
  expect(Math.max(...(await ticks("ticks-guide")))).toBeLessThanOrEqual(acknowledgedAt + LAST_WRITE_MS);
});
