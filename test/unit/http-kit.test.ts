import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { take } from "#domain/principal/limit";
import { isApiKey, makeApiKey, makeSessionToken, userOfSession } from "#domain/principal/values";
import { shownWorkspaceId, workspaceKey } from "#domain/workspace/values";
import { demandHarmless } from "#http/body";
import { idsFrom } from "#http/idempotency";
import { resumePoint, SseStream, sseFrame } from "#http/sse";
import { isId, newId } from "#kernel/id";

const parse = (text: string) => {
  const events: { id: string | undefined; event: string | undefined; data: string }[] = [];
  const parser = createParser({ onEvent: ({ id, event, data }) => events.push({ id, event, data }) });
  parser.feed(text);
  return events;
};

const LIFE = { comment: "keepalive", everyMs: 30_000 };

const CORPUS = [
  "\r",
  "\n",
  "\r\n",
  "\n\n",
  "\u0000",
  "\u2028",
  "\u2029",
  "\ufeff",
  "\u0085",
  ": x",
  "data: y",
  "id: 9",
  "retry: 1",
];

test("no text in a payload can make a field or a frame (S4)", () => {
  const hostile = fc.array(fc.oneof(fc.constantFrom(...CORPUS), fc.string())).map((parts) => parts.join(""));
  fc.assert(
    fc.property(hostile, fc.nat(), (text, seq) => {
      const data = JSON.stringify({ text });
      const frame = sseFrame({ id: String(seq), event: "message.delta", createdAt: "2026-01-01T00:00:00.000Z", data });
      expect(parse(frame)).toEqual([{ id: String(seq), event: "message.delta", data }]);
      const raw = parse(sseFrame({ id: "1", event: "e", data: text }));
      expect(raw).toHaveLength(1);
      expect(raw[0]?.data).toBe(text.replaceAll(/\r\n|\r/g, "\n"));
    }),
    { numRuns: 500 },
  );
});

test("a line of a megabyte arrives whole (S4)", () => {
  const data = JSON.stringify("x".repeat(1024 * 1024));
  expect(parse(sseFrame({ id: "1", event: "e", data }))[0]?.data).toBe(data);
});

test.for<[header: string | undefined, cursor: string | undefined, after: number]>([
  [undefined, undefined, -1],
  [undefined, "0", 0],
  ["7", "3", 7],
  ["garbage", "3", -1],
  ["", "3", -1],
  [undefined, "-1", -1],
  [undefined, "1e3", -1],
  [undefined, "9".repeat(16), -1],
  [undefined, "999999999999999", 999999999999999],
])("header %s and cursor %s resume after %i (S2)", ([header, cursor, after]) => {
  expect(resumePoint(header, cursor)).toBe(after);
});

test("a reader that takes nothing is cut after a bounded amount, with a hint to come back (S3)", async () => {
  const stream = new SseStream(LIFE);
  const piece = "x".repeat(100_000);
  let pushed = 0;
  while (!stream.ended && pushed < 100) {
    stream.push(piece);
    pushed++;
  }
  expect(pushed).toBeLessThan(15);
  await stream.done;
  const text = await new Response(stream.body).text();
  expect(text.endsWith(": too slow, resume from the last id\nretry: 1000\n\n")).toBe(true);
  expect(text.length).toBeLessThan(2 * 1024 * 1024);
});

test("a sign of life comes at every interval while the reader takes what it is sent, and not after the end (R365)", async () => {
  vi.useFakeTimers();
  try {
    const stream = new SseStream(LIFE);
    const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let i = 0; i < 3; i++) {
      const next = reader.read();
      await vi.advanceTimersByTimeAsync(LIFE.everyMs - 1);
      expect(await Promise.race([next, Promise.resolve("nothing yet")])).toBe("nothing yet");
      await vi.advanceTimersByTimeAsync(1);
      expect(await next).toEqual({ done: false, value: ": keepalive\n\n" });
    }
    await reader.cancel();
    await stream.done;
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("whoever waits for a reader goes on when the reader takes something, or leaves", async () => {
  for (const leave of [false, true]) {
    const stream = new SseStream(LIFE);
    stream.send("x".repeat(200_000));
    const drained = stream.drained();
    const reader = stream.body.getReader();
    if (leave) await reader.cancel();
    else await reader.read();
    await drained;
    expect(stream.ended).toBe(leave);
    if (!leave) stream.end("done");
  }
});

test("ids from one seed are the same sequence, are ids, and do not repeat (R6)", () => {
  fc.assert(
    fc.property(fc.uuid(), fc.integer({ min: 1e12, max: 2e12 }), (uuid, at) => {
      const seed = uuid.replaceAll("-", "");
      const draw = () => {
        const next = idsFrom(seed, at);
        return Array.from({ length: 20 }, () => next("sandbox"));
      };
      const ids = draw();
      expect(draw()).toEqual(ids);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids.every((id) => isId("sandbox", id))).toBe(true);
    }),
  );
});

test("a key and a session's secret have their shapes, and nothing else is taken for one", () => {
  const key = makeApiKey();
  expect(key).toMatch(/^wrn_[0-9a-f]{32}$/);
  expect(isApiKey(key)).toBe(true);
  const userId = newId("user", Date.now());
  const session = makeSessionToken(userId);
  expect(userOfSession(session)).toBe(userId);
  for (const right of [key, session]) {
    for (const wrong of [
      `${right}x`,
      right.slice(1),
      right.toUpperCase(),
      ` ${right}`,
      "",
      right.replace(/[_.]/, "-"),
    ]) {
      expect(isApiKey(wrong)).toBe(false);
      expect(userOfSession(wrong)).toBeUndefined();
    }
  }
  expect(isApiKey(session)).toBe(false);
  expect(userOfSession(key)).toBeUndefined();
});

test("a limit lets its quota through at once, refills evenly, and never more than its quota in a window (I4)", () => {
  const limits = fc.record({
    quota: fc.integer({ min: 1, max: 20 }),
    windowMs: fc.integer({ min: 100, max: 100_000 }),
  });
  fc.assert(
    fc.property(limits, fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 60 }), (quota, gaps) => {
      const limit = { bucket: "b", ...quota };
      const passed: number[] = [];
      let [now, fullAt] = [1_000_000, 0];
      for (const gap of gaps) {
        now += gap;
        const taken = take(limit, fullAt, now);
        fullAt = taken.fullAt;
        if (taken.state.retryAfterMs === 0) passed.push(now);
        else expect(take(limit, fullAt, now + taken.state.retryAfterMs).state.retryAfterMs).toBe(0);
        expect(taken.state.remaining).toBeGreaterThanOrEqual(0);
        expect(taken.state.remaining).toBeLessThan(limit.quota);
      }
      const burst = passed.filter((at) => at === passed[0]).length;
      expect(burst).toBeLessThanOrEqual(limit.quota);
      for (const start of passed) {
        const within = passed.filter((at) => at >= start && at < start + limit.windowMs).length;
        expect(within).toBeLessThanOrEqual(2 * limit.quota);
      }
    }),
  );
});

test("chosen workspace ids of different teams never meet, and show as they were chosen (T1)", () => {
  const [a, b] = [newId("team", 1), newId("team", 1)];
  const chosen = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/);
  fc.assert(
    fc.property(chosen, chosen, (one, two) => {
      expect(workspaceKey(a, one)).not.toBe(workspaceKey(b, two));
      expect(shownWorkspaceId(workspaceKey(a, one))).toBe(one);
    }),
  );
  const made = newId("workspace", 1);
  expect(workspaceKey(a, made)).toBe(made);
});

test("JSON that is well-formed passes, whatever is in its strings, and half a pair never does (I2)", () => {
  fc.assert(fc.property(fc.json({ maxDepth: 20 }), (text) => demandHarmless(text)));
  expect(() => demandHarmless(`${"[".repeat(101)}${"]".repeat(101)}`)).toThrow(/deeper/);
  demandHarmless(`"${"[".repeat(1_000)}\\"${"{".repeat(1_000)}"`);
  for (const half of ['"\\udfff"', '{"\\ud800":1}', '[["\\ude80\\ud83d"]]']) {
    expect(() => demandHarmless(half)).toThrow(/Unicode/);
  }
  demandHarmless('"\\ud83d\\ude80"');
  expect(() => demandHarmless('"\\ud800')).toThrow(/not valid JSON/);
});
