import { expect, test } from "vitest";
import { begun, scriptEngine, TestSession, until } from "#test/worker/sessions";

scriptEngine();

test("a message runs, and its run, messages, steps and events tell the same story", async () => {
  const s = await TestSession.open();
  const sent = await s.send("say hello there", { metadata: { origin: "me", note: 1 } });
  expect(sent).toMatchObject({ delivery: "active_run", queuedPosition: null });
  const run = await s.runIs(sent.runId);
  expect(run).toMatchObject({ status: "completed", triggerType: "message", triggerRef: sent.messageId });
  const messages = await s.messages();
  expect(messages).toMatchObject([
    {
      id: sent.messageId,
      role: "user",
      origin: "user",
      mode: "prompt",
      content: "say hello there",
      metadata: { note: 1 },
    },
    { role: "assistant", origin: "engine", content: [{ type: "text", text: "hello there" }], runId: run.id },
  ]);
  const steps = await s.handle.listSteps(s.team, run.id, { pageSize: 50, offset: 0 });
  expect(steps).toMatchObject({
    value: {
      items: [
        { seq: 1, stepType: "system", name: "run.started" },
        { seq: 2, stepType: "model_call", name: "test/script", status: "completed" },
        { seq: 3, stepType: "system", name: "run.completed", output: { status: "completed" } },
      ],
    },
  });
  const events = await s.events();
  expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index));
  const types = events.map((event) => event.type);
  expect([types.slice(0, 3), types.slice(-2)]).toEqual([
    ["run.queued", "run.started", "message.delta"],
    ["message.completed", "run.completed"],
  ]);
  const deltas = events.filter((event) => event.type === "message.delta").map((event) => JSON.parse(event.data).delta);
  expect(deltas.join("")).toBe("hello there");
});

test("a tool call is recorded as its own messages, in the order of the contract", async () => {
  const s = await TestSession.open();
  const { runId } = await s.send("tool");
  await s.runIs(runId, "completed");
  expect(
    (await s.messages()).map(({ role, content }) => [role, Array.isArray(content) ? content[0]?.type : "string"]),
  ).toEqual([
    ["user", "string"],
    ["assistant", "text"],
    ["assistant", "tool-call"],
    ["tool", "tool-result"],
    ["assistant", "text"],
  ]);
  const types = (await s.events()).map((event) => event.type);
  expect(types.filter((type, index) => type !== "message.delta" || type !== types[index - 1])).toEqual([
    "run.queued",
    "run.started",
    "message.delta",
    "message.completed",
    "tool.started",
    "tool.completed",
    "message.completed",
    "message.completed",
    "message.delta",
    "message.completed",
    "run.completed",
  ]);
});

test("three messages sent at once to an idle session all run, in one order", async () => {
  const s = await TestSession.open();
  const sent = await Promise.all(["say a", "say b", "say c"].map((content) => s.send(content)));
  expect(sent.map((each) => each.delivery)).toEqual(["active_run", "session_queue", "session_queue"]);
  expect(sent.map((each) => each.queuedPosition)).toEqual([null, 1, 2]);
  for (const { runId } of sent) await s.runIs(runId, "completed");
  const ids = sent.map((each) => each.runId);
  expect(begun.filter((id) => ids.includes(id))).toEqual(ids);
  const times = (await s.messages()).map((message) => message.createdAt);
  expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
  expect((await s.messages()).map((message) => message.role)).toEqual([
    "user",
    "assistant",
    "user",
    "assistant",
    "user",
    "assistant",
  ]);
});

test("R5 many clients that send at once get one order, the same for every reader", async () => {
  const s = await TestSession.open();
  const early = await s.feed();
  const clients = await Promise.all(
    ["a", "b", "c", "d"].map(async (client) => {
      const mine: string[] = [];
      for (let n = 0; n < 5; n++) mine.push((await s.send(`say ${client}${n}`)).runId);
      return mine;
    }),
  );
  for (const runId of clients.flat()) await s.runIs(runId, "completed");
  const log = await s.events();
  await until(() => early.events.length === log.length);
  expect(early.events).toEqual(log);
  const order = log.filter(({ type }) => type === "run.started").map(({ runId }) => runId);
  expect([...order].sort()).toEqual([...clients.flat()].sort());
  for (const mine of clients) expect(order.filter((id) => id !== null && mine.includes(id))).toEqual(mine);
  expect((await s.messages()).filter(({ role }) => role === "user").map(({ runId }) => runId)).toEqual(order);
});
