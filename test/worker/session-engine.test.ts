import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { TestSession } from "#test/worker/sessions";

test("the embedded model answers without a key, through the agent loop, and its messages name the prompt once stored", async () => {
  const s = await TestSession.open();
  const { runId } = await s.send("hello");
  const run = await s.runIs(runId);
  expect(run).toMatchObject({ status: "completed", errorCode: null });
  const [, answer] = await s.messages();
  expect(answer).toMatchObject({
    role: "assistant",
    content: [{ type: "text", text: expect.stringMatching(/model/i) }],
  });
  const system = { role: "system", content: expect.stringContaining("You have no tools") };
  expect(answer?.metadata).toEqual({
    agentName: "assistant",
    effectiveAgentName: "assistant",
    agentMode: "primary",
    modelCallStepId: expect.stringMatching(/^step_/),
    modelCallStepSeq: 2,
    systemMessages: [system],
  });
  expect(await s.handle.getMessage(s.team, answer!.id)).toEqual({ ok: true, value: answer });
  await s.runIs((await s.send("again")).runId);
  await evictDurableObject(s.stub);
  expect((await s.messages()).at(-1)?.metadata?.systemMessages).toEqual([system]);
  const told = (await s.events())
    .filter(({ type }) => type === "message.delta")
    .map(({ data }) => JSON.parse(data).metadata.systemMessages);
  expect(told.filter((each) => each !== undefined)).toEqual([[system]]);
  expect(told.length).toBeGreaterThan(1);
  await runInDurableObject(s.stub, (_, { storage }) =>
    expect(storage.sql.exec("SELECT COUNT(*) AS n FROM prompts").one()).toEqual({ n: 1 }),
  );
});
