import { expect, test } from "vitest";
import { TestSession } from "#test/worker/sessions";

test("the embedded model answers without a key, through the agent loop", async () => {
  const s = await TestSession.open();
  const { runId } = await s.send("hello");
  const run = await s.runIs(runId);
  expect(run).toMatchObject({ status: "completed", errorCode: null });
  const [, answer] = await s.messages();
  expect(answer).toMatchObject({
    role: "assistant",
    content: [{ type: "text", text: expect.stringMatching(/model/i) }],
  });
});
