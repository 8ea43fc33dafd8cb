import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import type { Message } from "#domain/session/values";
import { tenant } from "#test/worker/harness";
import { scriptEngine, TestSession } from "#test/worker/sessions";

const MIB = 1024 * 1024;
/** What a body holds beside the content. */
const ENVELOPE = '{"content":""}'.length;

const seen: (readonly Message[])[] = [];
scriptEngine({
  look: async ({ journal }) => {
    seen.push(journal.history());
    return { type: "completed" };
  },
});

/** Text of exactly this many bytes that begins with the name of a script. */
const filled = (bytes: number, unit: string): string => {
  const start = "look ";
  const size = new TextEncoder().encode(unit).length;
  const times = Math.floor((bytes - start.length) / size);
  return start + unit.repeat(times) + "x".repeat(bytes - start.length - times * size);
};

test.for([
  ["of one-byte characters", "a"],
  ["of three-byte characters", "語"],
  ["of surrogate pairs", "🚢"],
  ["of one-byte characters, with one that makes every character take two bytes in memory", "a", "語"],
])("a message of 16 MiB %s is kept, read and run exactly", async ([, unit, tail = ""]) => {
  const t = await tenant();
  const sessionId = await t.session();
  const path = `/api/v1/sessions/${sessionId}/messages`;
  const content = filled(16 * MIB - ENVELOPE - new TextEncoder().encode(tail).length, unit!) + tail;
  const sent = await t.call("POST", path, { content });
  expect(sent.status, sent.text.slice(0, 200)).toBe(202);
  const stored = await t.call("GET", `${path}/${sent.body.messageId}`);
  expect(stored.body?.content === content).toBe(true);
  await evictDurableObject(env.SESSION.getByName(sessionId));
  const [message] = (await t.call("GET", path)).body.items;
  expect(message.content === content).toBe(true);
  const rows = await runInDurableObject(env.SESSION.getByName(sessionId), (_, { storage }) =>
    storage.sql
      .exec("SELECT LENGTH(content) AS bytes FROM messages UNION ALL SELECT LENGTH(bytes) FROM message_pieces")
      .toArray(),
  );
  expect(Math.max(...rows.map(({ bytes }) => Number(bytes)))).toBeLessThanOrEqual(1_000_000);
});

test("a body over 16 MiB, and metadata over 256 KiB, are refused with the limit", async () => {
  const t = await tenant();
  const path = `/api/v1/sessions/${await t.session()}/messages`;
  expect(await t.call("POST", path, { content: "a".repeat(16 * MIB) })).toMatchObject({
    status: 413,
    body: { error: { message: expect.stringContaining(String(16 * MIB)) } },
  });
  expect(await t.call("POST", path, { content: "a", metadata: { note: "a".repeat(MIB) } })).toMatchObject({
    status: 413,
    body: { error: { message: expect.stringContaining(String(256 * 1024)) } },
  });
});

test("pages of large messages are cut short and lose none, in both directions", async () => {
  const s = await TestSession.open();
  const sent: string[] = [];
  for (let i = 0; i < 5; i++) sent.push((await s.send(`look ${i} ${"a".repeat(3 * MIB)}`)).messageId);
  await s.runIs((await s.send("say done")).runId);
  for (const direction of ["forward", "backward"] as const) {
    const read: Message[] = [];
    for (let more = true; more; ) {
      const last = direction === "forward" ? read.at(-1) : read[0];
      const page = await s.handle.listMessages(s.team, { limit: 200, direction, after: last ?? null });
      if (!page.ok) throw new Error(page.code);
      if (direction === "forward") read.push(...page.value.items);
      else read.unshift(...page.value.items);
      more = page.value.more;
      expect(JSON.stringify(page.value.items).length).toBeLessThan(10 * MIB);
    }
    expect(
      read
        .filter(({ role }) => role === "user")
        .map(({ id }) => id)
        .slice(0, 5),
    ).toEqual(sent);
  }
});

test("large messages that wait neither fill the queue's listing nor push the running turn out of the history", async () => {
  const s = await TestSession.open();
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let during: readonly Message[] = [];
  scriptEngine({
    wait: async ({ journal }) => {
      await gate;
      during = journal.history();
      return { type: "completed" };
    },
    look: async ({ journal }) => {
      seen.push(journal.history());
      return { type: "completed" };
    },
  });
  await s.runIs((await s.send("say before")).runId);
  const { runId } = await s.send("wait");
  const large = await Promise.all([1, 2].map((i) => s.send(`look ${i} ${"b".repeat(15 * MIB)}`)));
  const queue = await s.handle.queue(s.team);
  expect(JSON.stringify(queue).length).toBeLessThan(10_000);
  expect(queue).toMatchObject({ value: [{ messageId: large[0]!.messageId }, { messageId: large[1]!.messageId }] });
  release();
  await s.runIs(runId, "completed");
  expect(during.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
  for (const each of large) await s.runIs(each.runId, "completed");
  expect(seen.at(-1)?.map(({ id }) => id)).toEqual([large[0]!.messageId, large[1]!.messageId]);
  await evictDurableObject(s.stub);
  await s.runIs((await s.send("look again")).runId, "completed");
  expect(seen.at(-1)).toHaveLength(2);
});
