import { quantile, type Row } from "#scripts/bench/measure";
import type { World } from "#scripts/bench/world";
import { endsRun } from "#scripts/lib/read-events";

const STREAMS = 300;
const TOKENS = 30;
/** Streams begin over this time, so that all of them are held together for the rest. */
const RAMP_MS = 15_000;

/** What the scripted model answers here: a token a second. */
export const SLOW_SCRIPT = [{ steps: [{ tokens: TOKENS, perSecond: 1 }] }];

/** 300 sessions that stream one token a second, all held together after a ramp, each watched to its end. */
export async function measureStreams(world: World): Promise<Row[]> {
  const sessions = await Promise.all(Array.from({ length: STREAMS }, () => world.session()));
  const watched = await Promise.all(
    sessions.map(async (sessionId, n) => {
      await new Promise((resolve) => setTimeout(resolve, (n * RAMP_MS) / STREAMS));
      return watch(world, sessionId);
    }),
  );
  const complete = watched.filter(({ tokens }) => tokens === TOKENS).length;
  const firsts = watched.map(({ firstMs }) => firstMs);
  return [
    {
      figure: `${STREAMS} held streams, a token a second`,
      value: `${complete} complete`,
      aim: `${STREAMS} complete`,
      met: complete === STREAMS,
    },
    {
      figure: `${STREAMS} held streams, first token p95`,
      value: `${quantile(firsts, 0.95).toFixed(0)} ms`,
      aim: "",
      met: null,
    },
  ];
}

async function watch(world: World, sessionId: string): Promise<{ tokens: number; firstMs: number }> {
  const reader = world.follow(sessionId);
  const started = performance.now();
  let firstMs = Number.NaN;
  const first = reader
    .next(({ type }) => type === "message.delta")
    .then(() => {
      firstMs = performance.now() - started;
    });
  let runId = "";
  const ended = reader.next((event) => runId !== "" && endsRun(runId)(event));
  runId = await world.post(sessionId, "script:slow");
  await Promise.all([first, ended]);
  const text = reader.events
    .filter(({ type }) => type === "message.delta")
    .map(({ data }) => (typeof data.delta === "string" ? data.delta : ""))
    .join("");
  await reader.close();
  return { tokens: text.trim().split(/\s+/).length, firstMs };
}
