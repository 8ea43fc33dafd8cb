import { callModel } from "#scripts/bench/direct-model";
import { byTurns, median, overheadRow, type Row, ratioRow, timed } from "#scripts/bench/measure";
import type { World } from "#scripts/bench/world";
import { type Api, api } from "#scripts/lib/api";

const TURNS = 60;

/** Creating sessions, and the way of one message: accepted, first token, completed. */
export async function measureSessions(world: World, bareUrl: string, modelUrl: string): Promise<Row[]> {
  const bare = api(bareUrl, {});
  const created = await byTurns(
    TURNS,
    () => timed(() => world.session()),
    () => timed(() => bare("POST", "/sessions", { title: "bench" })),
  );
  const accepted = await measureAccepted(world, bare);
  const { first, whole } = await measureRun(world, modelUrl);
  return [
    ratioRow("create a session", created, null),
    ratioRow("POST message to 202", accepted, 1.5),
    overheadRow("POST to first token, over calling the model", first, 20),
    overheadRow("POST to completed, over calling the model", whole, 35),
  ];
}

/** Time to the 202 alone; the run it started has ended before the next turn. */
async function measureAccepted(world: World, bare: Api) {
  const sessionId = await world.session();
  const reader = world.follow(sessionId);
  const pair = await byTurns(
    TURNS,
    async () => {
      const done = reader.next(({ type }) => type === "run.completed");
      const took = await timed(() => world.post(sessionId, "hello"));
      await done;
      return took;
    },
    () => timed(() => bare("POST", "/message", { content: "hello" })),
  );
  await reader.close();
  return pair;
}

async function measureRun(world: World, modelUrl: string) {
  const sessionId = await world.session();
  const reader = world.follow(sessionId);
  const samples = { first: { ours: 0, bare: 0 }, whole: { ours: 0, bare: 0 } };
  const firsts: number[] = [];
  const directFirsts: number[] = [];
  samples.whole = await byTurns(
    TURNS,
    async () => {
      const started = performance.now();
      const first = reader
        .next(({ type }) => type === "message.delta")
        .then(() => firsts.push(performance.now() - started));
      const done = reader.next(({ type }) => type === "run.completed");
      await world.post(sessionId, "hello");
      await Promise.all([first, done]);
      return performance.now() - started;
    },
    async () => {
      const { firstMs, totalMs } = await callModel(modelUrl, "hello");
      directFirsts.push(firstMs);
      return totalMs;
    },
  );
  await reader.close();
  samples.first = { ours: median(firsts), bare: median(directFirsts) };
  return samples;
}
