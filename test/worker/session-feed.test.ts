import { evictDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { FEED_PAGE } from "#protocol/feed";
import { scriptEngine, TestSession, until } from "#test/worker/sessions";

scriptEngine();

test("S1 a reader that comes back after any event gets exactly the rest", async () => {
  const s = await TestSession.open();
  await s.runIs((await s.send("tool")).runId);
  await s.runIs((await s.send("say more")).runId);
  const all = await s.events();
  expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index));
  for (let after = -1; after < all.length; after++) {
    const reader = await s.feed(after);
    await until(() => reader.live);
    expect(reader.events).toEqual(all.slice(after + 1));
    reader.socket.close();
  }
});

test("S1 live readers and late readers see the same log, also across eviction", async () => {
  const s = await TestSession.open();
  const early = await s.feed();
  for (let round = 0; round < 3; round++) {
    const { runId } = await s.send(`say round ${round}`);
    await s.runIs(runId);
    await until(() => early.events.at(-1)?.type === "run.completed" && early.events.at(-1)?.runId === runId);
    await evictDurableObject(s.stub);
  }
  expect(early.events).toEqual(await s.events());
});

test("S2 a number from the future waits for the log to pass it", async () => {
  const s = await TestSession.open();
  await s.runIs((await s.send("say one")).runId);
  const { length } = await s.events();
  const reader = await s.feed(length + 1);
  await s.runIs((await s.send("say two")).runId);
  await until(() => reader.events.some(({ type }) => type === "run.completed"));
  expect(reader.events[0]?.seq).toBe(length + 2);
});

test("a run's filter holds in replay and live", async () => {
  const s = await TestSession.open();
  const first = await s.send("say one");
  await s.runIs(first.runId);
  const all = await s.feed();
  const reader = await s.feed(-1, first.runId);
  const second = await s.send("say two");
  await until(() => all.events.some(({ type, runId }) => type === "run.completed" && runId === second.runId));
  await until(() => reader.live);
  expect(reader.events).toEqual(all.events.filter(({ runId }) => runId === first.runId));
});

test("S3 a slow reader is sent one page at a time and nothing in between", async () => {
  scriptEngine({
    chatty: async ({ journal }) => {
      for (let i = 0; i < 2 * FEED_PAGE; i++) journal.log("info", "run", `line ${i}`);
      return { type: "completed" };
    },
  });
  const s = await TestSession.open();
  await s.runIs((await s.send("chatty")).runId);
  const response = await s.handle.openFeed({ teamId: s.team, after: -1, runId: null });
  const socket = response.webSocket!;
  const frames: { live: boolean; events: { seq: number }[] }[] = [];
  socket.addEventListener("message", ({ data }) => void frames.push(JSON.parse(String(data))));
  socket.accept();
  await until(() => frames.length === 1);
  const other = await s.feed();
  await until(() => other.live);
  const later = await s.send("say later");
  await until(() => other.events.some(({ type, runId }) => type === "run.completed" && runId === later.runId));
  expect(frames).toHaveLength(1);
  for (let page = 1; !frames.at(-1)!.live; page++) {
    socket.send(JSON.stringify({ v: 1, type: "more", after: frames.at(-1)!.events.at(-1)!.seq }));
    await until(() => frames.length > page);
  }
  const seen = frames.flatMap(({ events }) => events.map(({ seq }) => seq));
  expect(seen).toEqual(seen.map((_, index) => index));
  expect(seen.length).toBeGreaterThan(2 * FEED_PAGE);
});

test.for(["{", '{"v":1,"type":"less"}', "x".repeat(10_000)])(
  "S5 a frame that is no request closes the socket",
  async (frame) => {
    const s = await TestSession.open();
    const reader = await s.feed();
    reader.socket.send(frame);
    await until(() => reader.closed !== null);
    expect(reader.closed).toBe(1008);
  },
);

test("T1 another team's session is missing for every call", async () => {
  const [mine, theirs] = [await TestSession.open(), await TestSession.open()];
  const { runId, messageId } = await theirs.send("hang");
  const { handle } = theirs;
  const { team } = mine;
  const answers = await Promise.all([
    handle.get(team),
    handle.send({ ...theirs.input("say x"), teamId: team }),
    handle.listMessages(team, { limit: 1, direction: "forward", after: null }),
    handle.getMessage(team, messageId),
    handle.queue(team),
    handle.getRun(team, runId),
    handle.listSteps(team, runId, { pageSize: 1, offset: 0 }),
    handle.cancel(team, runId),
    handle.guide(team, runId),
    handle.destroy(team),
  ]);
  expect(answers.map((answer) => !answer.ok && answer.code)).toEqual(answers.map(() => "session_not_found"));
  expect((await handle.openFeed({ teamId: team, after: -1, runId: null })).status).toBe(404);
  expect((await theirs.run(runId)).status).toBe("running");
});
