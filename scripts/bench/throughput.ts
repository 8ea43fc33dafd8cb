import type { Row } from "#scripts/bench/measure";
import type { World } from "#scripts/bench/world";

const RUNS_EACH = { 1: 120, 8: 40, 32: 20 } as const;
const AIM_AT_32 = 60;

/** Completed runs per second with 1, 8 and 32 sessions that each run one after another. */
export async function measureThroughput(world: World): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [count, each] of Object.entries(RUNS_EACH)) {
    const rate = await runsPerSecond(world, Number(count), each);
    const counted = Number(count) === 32;
    rows.push({
      figure: `runs per second, ${count} session${count === "1" ? "" : "s"}`,
      value: rate.toFixed(0),
      aim: counted ? `>= ${AIM_AT_32}` : "",
      met: counted ? rate >= AIM_AT_32 : null,
    });
  }
  return rows;
}

async function runsPerSecond(world: World, sessions: number, each: number): Promise<number> {
  const readers = await Promise.all(
    Array.from({ length: sessions }, async () => {
      const sessionId = await world.session();
      return { sessionId, reader: world.follow(sessionId) };
    }),
  );
  const started = performance.now();
  await Promise.all(
    readers.map(async ({ sessionId, reader }) => {
      for (let n = 0; n < each; n++) {
        const done = reader.next(({ type }) => type === "run.completed");
        await world.post(sessionId, `run ${n}`);
        await done;
      }
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  await Promise.all(readers.map(({ reader }) => reader.close()));
  return (sessions * each) / seconds;
}
