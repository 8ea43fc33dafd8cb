import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endsRun, type StreamedEvent } from "#scripts/lib/read-events";
import { say, call as toolCall, turn } from "#test/node/model-script";
import { ScriptedProduct } from "#test/node/scripted-product";

const OFFSETS_MS = [0, 2, 5, 10, 15, 20, 30, 40, 50, 65, 80, 100, 150, 250, 400];
const LAST_WRITE_MS = 100;

let world: ScriptedProduct;

beforeAll(async () => {
  world = await ScriptedProduct.start("cancel");
  await world.call("POST", `/api/v1/sandboxes/${world.workspaceId}/commands/foreground`, { command: "true" });
  world.model.script("after", [say("still here")]);
}, 120_000);

afterAll(async () => {
  expect(await world?.stop()).toBe(0);
});

/** Scripts a run whose command, and a child that left its group, write the time to `file` every few milliseconds. */
function scriptTicking(file: string): void {
  const loop = `while :; do date +%s%3N >>${file}; sleep 0.003; done`;
  world.model.script(file, [
    turn(toolCall("Bash", { command: `(setsid sh -c '${loop}' &); ${loop}` })),
    say("never said"),
  ]);
}

/** The times in a file of the workspace; none when it was never made. */
async function ticks(file: string): Promise<number[]> {
  const { product, workspaceId } = world;
  const path = `/api/v1/sandboxes/${workspaceId}/files/content?path=${file}`;
  const response = await fetch(product.url + path, { headers: { "x-api-key": product.apiKey } });
  if (response.status === 404) return [];
  return ((await response.json()) as { content: string }).content.trim().split("\n").map(Number);
}

const isTicking = (file: string) => expect.poll(async () => (await ticks(file)).length, { timeout: 20_000 });

const endsOf = (events: StreamedEvent[], runId: string) => events.filter(endsRun(runId)).map(({ type }) => type);

test.for(OFFSETS_MS)(
  "R7: cancelled %d ms after its message, a run stops writing and the next one works",
  async (ms) => {
    const sessionId = await world.session();
    const file = `ticks-${ms}`;
    scriptTicking(file);
    const runId = await world.send(sessionId, `please script:${file}`);
    await sleep(ms);
    await world.call("POST", `/api/v1/runs/${runId}/cancel`);
    const acknowledgedAt = Date.now();
    await world.eventsUntil(sessionId, runId);
    const next = await world.send(sessionId, "please script:after");
    const events = await world.eventsUntil(sessionId, next);
    expect(endsOf(events, runId)).toEqual(["run.cancelled"]);
    expect(endsOf(events, next)).toEqual(["run.completed"]);
    expect(Math.max(0, ...(await ticks(file)))).toBeLessThanOrEqual(acknowledgedAt + LAST_WRITE_MS);
    await world.call("POST", `/api/v1/runs/${runId}/cancel`);
    expect(await world.call("GET", `/api/v1/runs/${runId}`)).toMatchObject({ status: "cancelled" });
  },
);

test("R7: a command that has been writing for a while stops within 100 ms of the cancel", async () => {
  const sessionId = await world.session();
  scriptTicking("ticks-long");
  const runId = await world.send(sessionId, "please script:ticks-long");
  await isTicking("ticks-long").toBeGreaterThan(20);
  await world.call("POST", `/api/v1/runs/${runId}/cancel`);
  const acknowledgedAt = Date.now();
  expect(endsOf(await world.eventsUntil(sessionId, runId), runId)).toEqual(["run.cancelled"]);
  const last = Math.max(...(await ticks("ticks-long")));
  expect(last).toBeLessThanOrEqual(acknowledgedAt + LAST_WRITE_MS);
});

test("R7: an interrupting message stops the command and is answered", async () => {
  const sessionId = await world.session();
  scriptTicking("ticks-interrupt");
  const first = await world.send(sessionId, "please script:ticks-interrupt");
  await isTicking("ticks-interrupt").toBeGreaterThan(5);
  const second = await world.send(sessionId, "please script:after", { runningRunBehavior: "interrupt" });
  const acknowledgedAt = Date.now();
  const events = await world.eventsUntil(sessionId, second);
  expect(endsOf(events, first)).toEqual(["run.cancelled"]);
  expect(endsOf(events, second)).toEqual(["run.completed"]);
  expect(Math.max(...(await ticks("ticks-interrupt")))).toBeLessThanOrEqual(acknowledgedAt + LAST_WRITE_MS);
});

test("R7: guiding a queued run stops the command and runs it next", async () => {
  const sessionId = await world.session();
  scriptTicking("ticks-guide");
  const first = await world.send(sessionId, "please script:ticks-guide");
  await isTicking("ticks-guide").toBeGreaterThan(5);
  const waiting = await world.send(sessionId, "please script:after");
  const guided = await world.send(sessionId, "please script:after");
  await world.call("POST", `/api/v1/runs/${guided}/guide`);
  const acknowledgedAt = Date.now();
  const events = await world.eventsUntil(sessionId, waiting);
  expect(events.filter(({ type }) => type === "run.completed").map(({ data }) => data.runId)).toEqual([
    guided,
    waiting,
  ]);
  expect(endsOf(events, first)).toEqual(["run.cancelled"]);
  expect(Math.max(...(await ticks("ticks-guide")))).toBeLessThanOrEqual(acknowledgedAt + LAST_WRITE_MS);
});
