import { abortAllDurableObjects, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { STOP_GRACE_MS } from "#domain/session/machine";
import { isTerminal } from "#domain/session/values";
import { begun, CALL, effects, killed, limitRuns, scriptEngine, TestSession, tick, until } from "#test/worker/sessions";

scriptEngine();
afterEach(() => limitRuns(null));

/** Ends the object's instance at once, as a crash does. */
async function crash(): Promise<void> {
  await abortAllDurableObjects();
}

/** What must hold of a session's log at any time: no gap, and one terminal event for each run that is over. */
async function checkLog(s: TestSession): Promise<void> {
  const events = await s.events();
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index));
  const ends = events.filter(({ type }) => ["run.completed", "run.failed", "run.cancelled"].includes(type));
  expect(new Set(ends.map(({ runId }) => runId)).size).toBe(ends.length);
  for (const { runId } of ends) expect(isTerminal((await s.run(runId!)).status)).toBe(true);
}

/** Every tool call of the session has exactly one result: a model that insists on pairs takes the history. */
async function checkPairs(s: TestSession): Promise<void> {
  const parts = (await s.messages()).flatMap(({ runId, content }) =>
    typeof content === "string" ? [] : content.map((part) => ({ runId, ...part })),
  );
  const ids = (type: string) =>
    parts.flatMap((part) => (part.type === type && "toolCallId" in part ? [`${part.runId} ${part.toolCallId}`] : []));
  expect(ids("tool-result").sort()).toEqual(ids("tool-call").sort());
}

test("R8 a run that a crash interrupted goes on by the alarm alone", async () => {
  let first = true;
  scriptEngine({
    once: async ({ journal, signal }) => {
      if (!first) return { type: "completed" };
      first = false;
      journal.modelCallStarted({ model: "m", agentName: "assistant", request: {} });
      journal.delta("lost");
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    },
  });
  const s = await TestSession.open();
  const { runId } = await s.send("once");
  await until(() => !first);
  await crash();
  expect(await runDurableObjectAlarm(s.stub)).toBe(true);
  expect((await s.runIs(runId)).status).toBe("completed");
  await checkLog(s);
  scriptEngine();
});

test("text of a call that a crash cut is replaced, not appended to", async () => {
  let attempts = 0;
  scriptEngine({
    retold: async ({ journal }) => {
      journal.modelCallStarted({ model: "m", agentName: "assistant", request: {} });
      journal.delta("the first");
      if (++attempts === 1) return new Promise(() => {});
      const text = "the first and only";
      journal.delta(" and only");
      journal.modelCallFinished({ text, reasoning: "", toolCalls: [], finishReason: "stop", usage: {} });
      return { type: "completed" };
    },
  });
  const s = await TestSession.open();
  const { runId } = await s.send("retold");
  await until(() => attempts === 1);
  await crash();
  await s.runIs(runId, "completed");
  const [, answer, ...rest] = await s.messages();
  expect([answer?.content, rest]).toEqual([[{ type: "text", text: "the first and only" }], []]);
  let read = "";
  for (const { data } of (await s.events()).filter(({ type }) => type === "message.delta")) {
    const delta = JSON.parse(data);
    expect(delta.messageId).toBe(answer?.id);
    read = delta.content ?? read + delta.delta;
  }
  expect(read).toBe("the first and only");
  scriptEngine();
});

test("a run that is given up leaves the text that the readers of its stream have", async () => {
  let attempts = 0;
  scriptEngine({
    fading: async ({ journal }) => {
      journal.modelCallStarted({ model: "m", agentName: "assistant", request: {} });
      if (++attempts === 1) journal.delta("said by the first attempt alone");
      throw new Error("it crashes");
    },
  });
  const s = await TestSession.open();
  const { runId } = await s.send("fading");
  await s.runIs(runId, "failed");
  let read = "";
  for (const { data } of (await s.events()).filter(({ type }) => type === "message.delta")) {
    const delta = JSON.parse(data);
    read = delta.content ?? read + delta.delta;
  }
  expect((await s.messages()).filter(({ role }) => role === "assistant").map(({ content }) => content)).toEqual([read]);
  scriptEngine();
});

test("a run waits for its tools as long as one is in flight, also those that an earlier attempt began", async () => {
  const about = { source: "native", retry: "manual" } as const;
  const calls = [CALL, { ...CALL, toolCallId: "call_2" }] as const;
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let attempts = 0;
  scriptEngine({
    pair: async ({ journal }) => {
      const result = { output: { type: "text", value: "x" }, durationMs: 1, failure: null } as const;
      if (++attempts === 1) {
        journal.modelCallStarted({ model: "m", agentName: "assistant", request: {} });
        journal.modelCallFinished({
          text: "",
          reasoning: "",
          toolCalls: [...calls],
          finishReason: "tool-calls",
          usage: {},
        });
        for (const call of calls) journal.toolStarted(call, about);
        throw new Error("it crashes");
      }
      journal.toolStarted(calls[1], about);
      journal.toolFinished(calls[0], result, about);
      await gate;
      journal.toolFinished(calls[1], result, about);
      return { type: "completed" };
    },
  });
  const s = await TestSession.open();
  const { runId } = await s.send("pair");
  await until(async () => (await s.messages()).filter(({ role }) => role === "tool").length === 1);
  expect((await s.run(runId)).status).toBe("waiting_tool");
  release();
  await s.runIs(runId, "completed");
  scriptEngine();
});

test("R7 a run that ends as its object is back takes the processes with it that it left running", async () => {
  limitRuns(200);
  const s = await TestSession.open();
  const { runId } = await s.send("hang-in-tool");
  await s.runIs(runId, "waiting_tool");
  const passed = Date.now() + 200;
  await crash();
  const before = killed.length;
  const clock = vi.spyOn(Date, "now").mockReturnValue(passed);
  await s.handle.nudge();
  clock.mockRestore();
  expect((await s.runIs(runId)).status).toBe("timed_out");
  expect(killed.slice(before)).toContain(`${runId}:${CALL.toolCallId}`);
});

test("R4 an attempt that was replaced changes nothing, while its successor works and after", async () => {
  const late: (() => void)[] = [];
  let attempts = 0;
  let release = false;
  scriptEngine({
    twice: async ({ journal }) => {
      late.push(() => journal.log("info", "run", "written"));
      if (++attempts === 1) throw new Error("first attempt");
      await until(() => release);
      return { type: "completed" };
    },
  });
  const s = await TestSession.open();
  const { runId } = await s.send("twice");
  await until(() => attempts === 2);
  const [first, second] = late;
  const before = await s.events();
  await runInDurableObject(s.stub, () => expect(first).toThrow("a newer attempt owns this run"));
  expect(await s.events()).toEqual(before);
  await runInDurableObject(s.stub, () => second?.());
  expect(await s.events()).toHaveLength(before.length + 1);
  release = true;
  await s.runIs(runId, "completed");
  await runInDurableObject(s.stub, () => expect(second).toThrow("a newer attempt owns this run"));
  scriptEngine();
});

test("R10 a run that always crashes is given up, with its recovery on record, and the next one runs", async () => {
  const s = await TestSession.open();
  const [poison, next] = [await s.send("crash"), await s.send("say next")];
  await s.runIs(next.runId, "completed");
  expect(await s.run(poison.runId)).toMatchObject({
    status: "failed",
    errorCode: "worker_recovery_failed",
    metadata: { recoveryAttempts: 3, recovery: { state: "failed", attempts: 3 } },
  });
  expect(begun.filter((id) => id === poison.runId)).toHaveLength(3);
  await checkLog(s);
});

test("R10 a run that kills the object each time is given up too", async () => {
  const s = await TestSession.open();
  const [poison, next] = [await s.send("deaf"), await s.send("say next")];
  for (let i = 0; i < 5 && (await s.run(poison.runId)).status === "running"; i++) {
    const attempts = begun.filter((id) => id === poison.runId).length;
    await crash();
    await s.handle.nudge();
    await until(
      async () => begun.filter((id) => id === poison.runId).length > attempts || (await s.run(poison.runId)).endedAt,
    );
  }
  await s.runIs(next.runId, "completed");
  expect(await s.run(poison.runId)).toMatchObject({ status: "failed", errorCode: "worker_recovery_failed" });
});

test("R11 a deadline that passed while the object was away ends the run when it is back, with its text", async () => {
  limitRuns(300);
  const s = await TestSession.open();
  const { runId } = await s.send("hang some text");
  await until(async () => (await s.messages()).length === 2);
  await crash();
  const passed = Date.now() + 300;
  await until(() => Date.now() > passed);
  expect((await s.runIs(runId)).status).toBe("timed_out");
  expect((await s.messages())[1]).toMatchObject({ role: "assistant", content: "some text" });
});

test("R7 a run whose loop does not listen is ended without it", async () => {
  const s = await TestSession.open();
  const { runId } = await s.send("deaf");
  await s.handle.cancel(s.team, runId);
  await runDurableObjectAlarm(s.stub);
  expect(await s.run(runId)).toMatchObject({ status: "running", cancelRequestedAt: expect.any(Number) });
  const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + STOP_GRACE_MS);
  await runDurableObjectAlarm(s.stub);
  clock.mockRestore();
  expect((await s.run(runId)).status).toBe("cancelled");
});

test("R11 a directory that hangs does not hold up a deadline", async () => {
  const s = await TestSession.open();
  const hung = vi.spyOn(Object.getPrototypeOf(env.DB), "batch").mockReturnValue(new Promise(() => {}));
  limitRuns(100);
  const { runId } = await s.send("hang some text");
  await until(async () => (await s.messages()).length === 2);
  const alarm = runDurableObjectAlarm(s.stub);
  await until(() => hung.mock.calls.length > 0);
  expect((await s.runIs(runId)).status).toBe("timed_out");
  await alarm;
  hung.mockRestore();
});

/** Makes the k-th write of the isolate's objects throw, counted from now; answers how to stop that. */
async function failWrites(s: TestSession, fails: (n: number) => boolean): Promise<() => void> {
  return runInDurableObject(s.stub, (_, { storage }) => {
    const prototype = Object.getPrototypeOf(storage.sql);
    const original = prototype.exec;
    let writes = 0;
    prototype.exec = function (this: SqlStorage, query: string, ...values: unknown[]) {
      if (/^\s*(INSERT|UPDATE|DELETE)/i.test(query) && fails(++writes)) throw new Error(`write ${writes} fails`);
      return original.call(this, query, ...values);
    };
    return () => {
      prototype.exec = original;
    };
  });
}

test("R1 R2 a write that fails anywhere loses and doubles nothing", async () => {
  for (let k = 1; k <= 40; k++) {
    const s = await TestSession.open();
    const restore = await failWrites(s, (n) => n === k);
    let runId: string;
    try {
      const send = () => s.send("tool", { idempotency: { key: "k", fingerprint: "f" } });
      ({ runId } = await send().catch(send));
      await s.runIs(runId, "completed");
    } finally {
      restore();
    }
    await checkLog(s);
    await checkPairs(s);
    const texts = (await s.messages()).map(({ role }) => role);
    expect(texts).toEqual(["user", "assistant", "assistant", "tool", "assistant"]);
    // R3: whatever was repeated had the same key.
    expect(new Set(effects.filter((key) => key.startsWith(runId))).size).toBe(1);
  }
});

test("R9 an alarm that fails ten times in a row still leads to progress", async () => {
  const s = await TestSession.open();
  const { runId } = await s.send("hang");
  await crash();
  await s.handle.nudge();
  const restore = await failWrites(s, () => true);
  try {
    for (let i = 0; i < 10; i++) expect(await runDurableObjectAlarm(s.stub)).toBe(true);
  } finally {
    restore();
  }
  expect(await runDurableObjectAlarm(s.stub)).toBe(true);
  await s.handle.cancel(s.team, runId);
  expect((await s.runIs(runId)).status).toBe("cancelled");
});

const command = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("send" as const),
      text: fc.constantFrom("say a b", "tool", "crash", "fail"),
      interrupt: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom("cancel" as const, "guide" as const), run: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("alarm" as const, "abort" as const, "pause" as const) }) },
);

test("R1 R2 R5 R7 any mix of sends, stops and crashes drains, ends each run once, and leaves a whole log", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 14 }), async (commands) => {
      const s = await TestSession.open();
      const sent: string[] = [];
      for (const [index, each] of commands.entries()) {
        if (each.type === "send") {
          const whenBusy = each.interrupt ? "interrupt" : "queue";
          const send = () => s.send(each.text, { whenBusy, idempotency: { key: `k${index}`, fingerprint: "f" } });
          sent.push((await send().catch(send)).runId);
        } else if (each.type === "cancel" || each.type === "guide") {
          const runId = sent[each.run % Math.max(1, sent.length)];
          if (runId) await s.handle[each.type](s.team, runId);
        } else if (each.type === "alarm") await runDurableObjectAlarm(s.stub);
        else if (each.type === "abort") await crash();
        else await tick(2);
      }
      for (const runId of sent) await s.runIs(runId);
      await checkLog(s);
      await checkPairs(s);
      expect(new Set(sent).size).toBe(sent.length);
      expect(await s.handle.queue(s.team)).toEqual({ ok: true, value: [] });
      const users = (await s.messages()).filter(({ role }) => role === "user");
      expect(users.map(({ runId }) => runId).sort()).toEqual([...sent].sort());
    }),
    { numRuns: 25 },
  );
});

test("an object that is evicted while idle knows everything afterwards", async () => {
  const s = await TestSession.open();
  await s.runIs((await s.send("tool")).runId);
  const before = [await s.messages(), await s.events()];
  await evictDurableObject(s.stub);
  expect([await s.messages(), await s.events()]).toEqual(before);
});
