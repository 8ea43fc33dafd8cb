import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { EventSourceMessage } from "eventsource-parser";
import { expect, test } from "vitest";
import { type Tenant, tenant } from "#test/worker/harness";
import { eventsIn as events, follow as open } from "#test/worker/streams";

/** Opens a session's stream. */
const follow = (t: Tenant, sessionId: string, query = "", headers: Record<string, string> = {}) =>
  open(`/api/v1/sessions/${sessionId}/events${query}`, { "x-api-key": t.key, ...headers });

/** The run of an event; log lines name it in their context. */
const runOf = (data: string) => JSON.parse(data).runId ?? JSON.parse(data).context.runId;
const completed = (runs: number) => (text: string) => text.split("event: run.completed").length > runs;
const wholeFrame = (enough: (text: string) => boolean) => (text: string) => enough(text) && text.endsWith("\n\n");
const send = (t: Tenant, sessionId: string, content: string) =>
  t.call("POST", `/api/v1/sessions/${sessionId}/messages`, { content });

async function recorded(messages: number) {
  const t = await tenant();
  const sessionId = await t.session();
  const runIds: string[] = [];
  const live = await follow(t, sessionId);
  for (let i = 1; i <= messages; i++) {
    runIds.push((await send(t, sessionId, `hello ${i}`)).body.runId);
    await live.until(wholeFrame(completed(i)));
  }
  const text = await live.until(() => true);
  await live.close();
  return { t, sessionId, runIds, text };
}

test("a stream begins with a comment, then tells each event with id, name, time and JSON", async () => {
  const { t, sessionId, text } = await recorded(1);
  expect(text.startsWith(": connected\n\nid: 0\nevent: run.queued\ncreatedAt: 20")).toBe(true);
  const seen = events(text);
  expect(seen.map(({ id }) => Number(id))).toEqual(seen.map((_, i) => i));
  for (const { data } of seen) expect(runOf(data)).toMatch(/^run_/);
  const { headers, close } = await follow(t, sessionId);
  expect(headers.get("content-type")).toBe("text/event-stream");
  expect(headers.get("cache-control")).toBe("no-cache, no-transform");
  await close();
});

test("cut after any byte and resumed from the last whole event, nothing is lost or doubled (S1)", async () => {
  const { t, sessionId, text } = await recorded(1);
  const all = events(text);
  const tails = new Map<string, EventSourceMessage[]>();
  for (let after = -1; after < all.length - 1; after++) {
    const resumed = await follow(t, sessionId, "", after < 0 ? {} : { "last-event-id": String(after) });
    tails.set(String(after), events(await resumed.until(wholeFrame(completed(1)))));
    await resumed.close();
  }
  tails.set(String(all.length - 1), []);
  for (let cut = 0; cut <= text.length; cut++) {
    const before = events(text.slice(0, cut));
    const tail = tails.get(before.at(-1)?.id ?? "-1");
    expect([...before, ...(tail ?? [])]).toEqual(all);
  }
});

test("the header wins over the cursor, garbage replays all, a future cursor waits for what is beyond it (S2)", async () => {
  const { t, sessionId, text } = await recorded(1);
  const last = events(text).length - 1;
  const first = async (query: string, headers: Record<string, string> = {}) => {
    const stream = await follow(t, sessionId, query, headers);
    const seen = events(await stream.until((now) => events(now).length > 0));
    await stream.close();
    return Number(seen[0]?.id);
  };
  expect(await first("?cursor=1")).toBe(2);
  expect(await first("?cursor=1", { "last-event-id": "3" })).toBe(4);
  expect(await first("?cursor=nonsense")).toBe(0);
  const future = await follow(t, sessionId, `?cursor=${last + 3}`);
  await send(t, sessionId, "more");
  const seen = events(await future.until((now) => events(now).length > 0));
  expect(Number(seen[0]?.id)).toBe(last + 4);
  await future.close();
});

test("a run's filter leaves out the others", async () => {
  const { t, sessionId, runIds } = await recorded(2);
  const stream = await follow(t, sessionId, `?runId=${runIds[1]}`);
  const seen = events(await stream.until(wholeFrame(completed(1))));
  for (const { data } of seen) expect(runOf(data)).toBe(runIds[1]);
  await stream.close();
});

test.for(["hibernate", "close"] as const)(
  "a reader goes on over an eviction that would %s its socket",
  async (webSockets) => {
    const t = await tenant();
    const sessionId = await t.session();
    const stream = await follow(t, sessionId);
    await send(t, sessionId, "one");
    await stream.until(wholeFrame(completed(1)));
    await evictDurableObject(env.SESSION.getByName(sessionId), { webSockets });
    await send(t, sessionId, "two");
    const seen = events(await stream.until(wholeFrame(completed(2))));
    expect(seen.map(({ id }) => Number(id))).toEqual(seen.map((_, i) => i));
    await stream.close();
  },
);

test("a reader that leaves cancels nothing", async () => {
  const t = await tenant();
  const sessionId = await t.session();
  const stream = await follow(t, sessionId);
  await stream.until((text) => text.includes("connected"));
  const { body } = await send(t, sessionId, "on my own");
  await stream.close();
  const other = await follow(t, sessionId);
  await other.until(wholeFrame(completed(1)));
  await other.close();
  expect((await t.call("GET", `/api/v1/runs/${body.runId}`)).body.status).toBe("completed");
});

test("the stream ends when its session is deleted", async () => {
  const t = await tenant();
  const workspaceId = await t.workspace();
  const sessionId = await t.session(workspaceId);
  const stream = await follow(t, sessionId);
  await t.call("DELETE", `/api/v1/workspaces/${workspaceId}`);
  expect(await stream.until((text) => text.includes("retry:"))).toContain(": the session is gone");
});

test("no text of a user makes a frame of its own (S4)", async () => {
  const t = await tenant();
  const sessionId = await t.session();
  const hostile = "a\r\n\r\nid: 99\nevent: run.completed\ndata: {}\n\n\u2028\u2029\u0085\ufeff b";
  const { body } = await send(t, sessionId, hostile);
  const stream = await follow(t, sessionId);
  const seen = events(await stream.until(wholeFrame(completed(1))));
  expect(seen.map(({ id }) => Number(id))).toEqual(seen.map((_, i) => i));
  expect(seen.filter(({ event }) => event === "run.completed")).toHaveLength(1);
  const message = await t.call("GET", `/api/v1/sessions/${sessionId}/messages/${body.messageId}`);
  expect(message.body.content).toBe(hostile.trim());
  await stream.close();
});

test("a session of another team has no stream (T1)", async () => {
  const [t, other] = [await tenant(), await tenant()];
  const sessionId = await t.session();
  expect(await other.call("GET", `/api/v1/sessions/${sessionId}/events`)).toMatchObject({
    status: 404,
    body: { error: { code: "session_not_found" } },
  });
});
