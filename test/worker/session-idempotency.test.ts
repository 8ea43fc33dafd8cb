import { evictDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { scriptEngine, TestSession } from "#test/worker/sessions";

scriptEngine();
const key = (key: string, fingerprint = "same") => ({ idempotency: { key, fingerprint } });

test("R6 fifty sends with one key at the same time are one run, also after eviction", async () => {
  const s = await TestSession.open();
  const sends = await Promise.all(Array.from({ length: 50 }, () => s.send("say once", key("k"))));
  expect(new Set(sends.map((sent) => JSON.stringify(sent))).size).toBe(1);
  await s.runIs(sends[0]!.runId, "completed");
  await evictDurableObject(s.stub);
  expect(await s.send("say once", key("k"))).toEqual(sends[0]);
  expect((await s.messages()).filter(({ role }) => role === "user")).toHaveLength(1);
});

test("R6 a key that comes with another request is refused, other keys and sessions are independent", async () => {
  const [s, other] = [await TestSession.open(), await TestSession.open()];
  const first = await s.send("say a", key("k"));
  expect(await s.handle.send(s.input("say b", key("k", "other")))).toMatchObject({ code: "idempotency_mismatch" });
  expect((await s.send("say b", key("l"))).runId).not.toBe(first.runId);
  expect((await other.send("say c", key("k", "third"))).messageId).not.toBe(first.messageId);
});
