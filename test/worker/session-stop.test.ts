import { afterEach, expect, test } from "vitest";
import { begun, CALL, killed, limitRuns, scriptEngine, TestSession, tick, until } from "#test/worker/sessions";

scriptEngine();
afterEach(() => limitRuns(null));

const terminalEvents = async (s: TestSession, runId: string) =>
  (await s.events(runId)).filter(({ type }) => ["run.completed", "run.failed", "run.cancelled"].includes(type));

test("R7 a cancelled queued run stays listed until its turn and never starts", async () => {
  const s = await TestSession.open();
  const first = await s.send("hang");
  const second = await s.send("say never");
  const third = await s.send("say after");
  await s.handle.cancel(s.team, second.runId);
  expect(await s.handle.queue(s.team)).toMatchObject({
    value: [
      { runId: second.runId, content: "say never", position: 1 },
      { runId: third.runId, position: 2 },
    ],
  });
  expect(await s.run(second.runId)).toMatchObject({ status: "queued", cancelRequestedAt: expect.any(Number) });
  await s.handle.cancel(s.team, first.runId);
  await s.runIs(third.runId, "completed");
  expect(await s.run(second.runId)).toMatchObject({ status: "cancelled", startedAt: null });
  expect(begun).not.toContain(second.runId);
  expect(await terminalEvents(s, second.runId)).toHaveLength(1);
});

test("R7 cancelling at any moment ends a run as cancelled or completed, exactly once, and keeps what it said", async () => {
  for (let offset = 0; offset <= 50; offset += 5) {
    const s = await TestSession.open();
    const { runId } = await s.send("tool");
    await tick(offset / 5);
    await s.handle.cancel(s.team, runId);
    const asked = await s.run(runId);
    const run = await s.runIs(runId);
    if (asked.cancelRequestedAt !== null) expect(run.status).toBe("cancelled");
    expect(await terminalEvents(s, runId)).toHaveLength(1);
    await s.handle.cancel(s.team, runId);
    expect(await s.run(runId)).toEqual(run);
    await s.runIs((await s.send("say next")).runId, "completed");
  }
});

test("a cancelled run keeps its partial text as a plain string", async () => {
  const s = await TestSession.open();
  const { runId } = await s.send("hang partial text");
  await until(async () => (await s.messages()).length === 2);
  await s.handle.cancel(s.team, runId);
  await s.runIs(runId, "cancelled");
  expect((await s.messages())[1]).toMatchObject({ role: "assistant", content: "partial text" });
  const steps = await s.handle.listSteps(s.team, runId, { pageSize: 9, offset: 0 });
  expect(steps).toMatchObject({
    value: { items: [{}, { stepType: "model_call", status: "cancelled" }, { name: "run.cancelled" }] },
  });
});

test("R7 cancelling during a tool call kills its process and answers the call", async () => {
  const s = await TestSession.open();
  const { runId } = await s.send("hang-in-tool");
  await s.runIs(runId, "waiting_tool");
  await s.handle.cancel(s.team, runId);
  expect(killed).toContain(`${runId}:${CALL.toolCallId}`);
  await s.runIs(runId, "cancelled");
  expect((await s.messages()).at(-1)).toMatchObject({
    role: "tool",
    content: [{ type: "tool-result", toolCallId: CALL.toolCallId, output: { type: "error-text" } }],
  });
  const types = (await s.events()).map((event) => event.type);
  expect(types.slice(-4)).toEqual(["tool.failed", "message.completed", "message.completed", "run.cancelled"]);
});

test("an interrupt takes the place of the active run, the queue stays", async () => {
  const s = await TestSession.open();
  const first = await s.send("hang so far");
  await expect.poll(async () => (await s.messages()).length).toBe(2);
  const second = await s.send("say second");
  const third = await s.send("say third", { whenBusy: "interrupt" });
  expect(third).toMatchObject({ delivery: "session_queue", queuedPosition: 2 });
  await s.runIs(second.runId, "completed");
  expect((await s.run(first.runId)).status).toBe("cancelled");
  const mine = [first.runId, third.runId, second.runId];
  expect(begun.filter((id) => mine.includes(id))).toEqual(mine);
  const updates = (await s.events()).filter(({ type }) => type === "queue.updated").map(({ data }) => JSON.parse(data));
  expect(updates.map(({ runId, action, queuedPosition }) => [runId, action, queuedPosition])).toEqual([
    [second.runId, "enqueued", 1],
    [third.runId, "promoted", 0],
    [third.runId, "dequeued", 0],
    [second.runId, "dequeued", 1],
  ]);
  // Messages are dated by the start of their runs.
  expect((await s.messages()).map(({ runId }) => runId)).toEqual(mine.flatMap((id) => [id, id]));
});

test("guiding a queued run interrupts once, and does nothing afterwards", async () => {
  const s = await TestSession.open();
  const first = await s.send("hang");
  const second = await s.send("hang");
  const guided = await s.send("say guided");
  await s.handle.guide(s.team, guided.runId);
  await s.runIs(guided.runId, "completed");
  await s.runIs(second.runId, "running");
  expect(await s.handle.guide(s.team, guided.runId)).toMatchObject({ ok: true });
  expect(await s.handle.guide(s.team, second.runId)).toMatchObject({ ok: true });
  expect((await s.run(second.runId)).cancelRequestedAt).toBeNull();
  expect((await s.run(first.runId)).status).toBe("cancelled");
  expect(await s.handle.guide(s.team, first.runId.replace(/_1$/, "_99"))).toMatchObject({ code: "run_not_found" });
});

test("a queued message is not part of another run's history", async () => {
  const seen: number[] = [];
  scriptEngine({
    look: async ({ journal, signal }) => {
      await until(() => signal.aborted || gate);
      seen.push(journal.history().length);
      return { type: "completed" };
    },
  });
  let gate = false;
  const s = await TestSession.open();
  const first = await s.send("look");
  const second = await s.send("look");
  gate = true;
  await s.runIs(first.runId);
  await s.runIs(second.runId);
  expect(seen).toEqual([1, 2]);
  scriptEngine();
});

test("R11 a run ends as timed_out at its deadline", async () => {
  limitRuns(500);
  const s = await TestSession.open();
  const { runId } = await s.send("hang some text");
  const run = await s.runIs(runId);
  expect(run).toMatchObject({ status: "timed_out", errorCode: "run_timed_out" });
  expect((await s.messages())[1]).toMatchObject({ content: "some text" });
  const [end] = await terminalEvents(s, runId);
  expect(end).toMatchObject({ type: "run.failed" });
  expect(JSON.parse(end!.data)).toMatchObject({ status: "timed_out", errorCode: "run_timed_out" });
});

test("a failed run does not hold up the queue", async () => {
  const s = await TestSession.open();
  const [failed, next] = [await s.send("fail"), await s.send("say next")];
  await s.runIs(next.runId, "completed");
  expect(await s.run(failed.runId)).toMatchObject({ status: "failed", errorCode: "model_stream_failed" });
});
