import { createParser } from "eventsource-parser";
import { afterAll, beforeAll, expect, test } from "vitest";
import { api } from "#scripts/lib/api";
import { endsRun, readEvents } from "#scripts/lib/read-events";
import { type Started, startedProduct } from "#test/node/started";

const AT_ONCE = 8;

let product: Started;
beforeAll(async () => {
  product = await startedProduct();
}, 120_000);
afterAll(async () => {
  await product?.stop();
});

/** Reads a stream until `enough` bytes came, then cuts the connection; answers exactly those bytes. */
async function bytesOf(path: string, enough: number, headers: Record<string, string> = {}): Promise<Buffer> {
  const cut = new AbortController();
  const response = await fetch(product.url + path, {
    headers: { "x-api-key": product.apiKey, ...headers },
    signal: cut.signal,
  });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= enough) break;
  }
  cut.abort();
  return Buffer.concat(chunks).subarray(0, enough);
}

type Frame = { id: string; data: string };

/** The frames a client has received whole; half a frame is nothing yet. */
function framesIn(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  const parser = createParser({ onEvent: ({ id = "", data }) => frames.push({ id, data }) });
  parser.feed(new TextDecoder().decode(bytes, { stream: true }));
  return frames;
}

test("S1: a stream cut after any byte of a run and resumed loses nothing and doubles nothing", async () => {
  const call = api(product.url, { "x-api-key": product.apiKey });
  const workspace = await call<{ id: string }>("POST", "/api/v1/workspaces", { name: "cut", runtime: "base" });
  const { id: sessionId } = await call<{ id: string }>("POST", `/api/v1/workspaces/${workspace.id}/sessions`, {});
  const { runId } = await call<{ runId: string }>("POST", `/api/v1/sessions/${sessionId}/messages`, {
    content: "hällo, wörld 👋",
  });
  const { url, apiKey } = product;
  await readEvents({ url, apiKey, sessionId }, () => {}, endsRun(runId));

  const path = `/api/v1/sessions/${sessionId}/events`;
  const { items } = await call<{ items: unknown[] }>("GET", `/api/v1/runs/${runId}/steps`);
  expect(items.length).toBeGreaterThan(0);
  const whole = await wholeStream(path, runId);
  const frames = framesIn(whole);
  const restAfter = new Map<string, Promise<Frame[]>>();
  const resume = (lastId: string, missing: number) => {
    const known = restAfter.get(lastId) ?? rest(path, lastId, missing);
    restAfter.set(lastId, known);
    return known;
  };

  const broken: number[] = [];
  const cuts = Array.from({ length: whole.length + 1 }, (_, at) => at);
  const worker = async () => {
    for (let at = cuts.pop(); at !== undefined; at = cuts.pop()) {
      const before = framesIn(await bytesOf(path, at));
      const lastId = before.at(-1)?.id;
      const after = lastId === undefined ? frames : await resume(lastId, frames.length - before.length);
      if (JSON.stringify([...before, ...after]) !== JSON.stringify(frames)) broken.push(at);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  expect(broken).toEqual([]);
  expect(restAfter.size).toBe(frames.length);
});

/** The raw bytes of a finished run's stream, up to the end of its last frame. */
async function wholeStream(path: string, runId: string): Promise<Buffer> {
  const response = await fetch(product.url + path, { headers: { "x-api-key": product.apiKey } });
  let bytes = Buffer.alloc(0);
  for await (const chunk of response.body ?? []) {
    bytes = Buffer.concat([bytes, chunk]);
    const done = framesIn(bytes).some(
      ({ data }) => data.includes(runId) && data.includes('"completed"') && !data.includes("messageId"),
    );
    if (done) return bytes;
  }
  throw new Error("the stream ended before the run did");
}

/** What a client that saw `lastId` gets: exactly the missing frames. */
async function rest(path: string, lastId: string, missing: number): Promise<Frame[]> {
  if (missing === 0) return [];
  const cut = new AbortController();
  const response = await fetch(product.url + path, {
    headers: { "x-api-key": product.apiKey, "last-event-id": lastId },
    signal: cut.signal,
  });
  let bytes = Buffer.alloc(0);
  for await (const chunk of response.body ?? []) {
    bytes = Buffer.concat([bytes, chunk]);
    if (framesIn(bytes).length >= missing) break;
  }
  cut.abort();
  return framesIn(bytes);
}
