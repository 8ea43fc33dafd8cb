import { callModel } from "#scripts/bench/direct-model";
import { byTurns, overheadRow, type Row, ratioRow, timed } from "#scripts/bench/measure";
import type { World } from "#scripts/bench/world";
import { api } from "#scripts/lib/api";
import { endsRun } from "#scripts/lib/read-events";

const TURNS = 60;

/** Creating sessions, and the way of one message: accepted, first token, completed. */
export async function measureSessions(world: World, bareUrl: string, modelUrl: string): Promise<Row[]> {
  const bare = api(bareUrl, {});
  const created = await byTurns(
    TURNS,
    () => timed(() => world.session()),
    () => timed(() => bare("POST", "/sessions", { title: "bench" })),
  );
  const sessionId = await world.session();
  const accepted = await byTurns(
    TURNS,
    async () => {
      const reader = world.follow(sessionId);
      let runId = "";
      const ended = reader.next((event) => runId !== "" && endsRun(runId)(event));
      const took = await timed(async () => {
        runId = await world.post(sessionId, "hello");
      });
      if (!reader.events.some(endsRun(runId))) await ended;
      await reader.close();
      return took;
    },
    () => timed(() => bare("POST", "/message", { content: "hello" })),
  );
  const { first, whole } = await measureRun(world, modelUrl);
  return [
    ratioRow("create a session", created, null),
    ratioRow("POST message to 202", accepted, 1.5),
    overheadRow("POST to first token, over calling the model", first, 20),
    overheadRow("POST to completed, over calling the model", whole, 35),
  ];
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
  const { median } = await import("#scripts/bench/measure");
  samples.first = { ours: median(firsts), bare: median(directFirsts) };
  return samples;
}
