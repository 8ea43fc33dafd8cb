import { setTimeout as sleep } from "node:timers/promises";
import type { Capsules } from "#scripts/bench/capsules";
import { quantile, type Row } from "#scripts/bench/measure";
import type { World } from "#scripts/bench/world";

const ROUNDS = 100;
const AIM_MS = 100;
/** A child that left the group of its parent writes too. */
const WRITER = "(setsid sh -c 'while :; do echo x >last-child; done' &); while :; do echo x >last; done";
const FILES = ["last", "last-child"];

/** What the scripted model answers here: a command that writes until it is cancelled. */
export const WRITER_SCRIPT = [{ steps: [{ call: { name: "Bash", input: { command: WRITER } } }] }];

/** From the request that kills a process or cancels a run to the last moment at which its code wrote anything. */
export async function measureLastWrites(world: World, capsules: Capsules): Promise<Row[]> {
  const { id } = await capsules.create();
  const killed = await rounds(capsules, id, () => capsules.process(id, WRITER));
  await capsules.destroy(id);
  const { sandboxId } = world;
  await world.call("POST", `/api/v1/sandboxes/${sandboxId}/commands/foreground`, { command: "true" });
  const sessionId = await world.session("builder");
  const reader = world.follow(sessionId);
  const cancelled = await rounds(capsules, sandboxId, async () => {
    const runId = await world.post(sessionId, "script:writer");
    return async () => {
      const ended = reader.next(({ type }) => type === "run.cancelled");
      await world.call("POST", `/api/v1/runs/${runId}/cancel`);
      await ended;
    };
  });
  await reader.close();
  return [row("kill of a process", killed), row("cancel of a run", cancelled)];
}

/** Milliseconds of each round; below zero when the last write was before the request. */
async function rounds(capsules: Capsules, id: string, begin: () => Promise<() => Promise<unknown>>): Promise<number[]> {
  const samples: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await capsules.exec(id, "/bin/rm", "-f", ...FILES);
    const end = await begin();
    while ((await writtenAt(capsules, id)).length < FILES.length) await sleep(5);
    const askedAt = Date.now();
    await end();
    // Long enough for a write that should not be there any more.
    await sleep(AIM_MS);
    samples.push(Math.max(...(await writtenAt(capsules, id))) - askedAt);
  }
  return samples;
}

/** When each of the files that are there was written. */
async function writtenAt(capsules: Capsules, id: string): Promise<number[]> {
  const lines = await capsules.exec(id, "/usr/bin/stat", "-c", "%.3Y", ...FILES);
  return lines
    .split("\n")
    .filter(Boolean)
    .map((seconds) => Number(seconds) * 1000);
}

function row(what: string, samples: number[]): Row {
  const worst = quantile(samples, 0.99);
  return {
    figure: `${what} to its last write, p99 of ${samples.length}`,
    value: `${worst.toFixed(0)} ms`,
    aim: `<= ${AIM_MS} ms`,
    met: worst <= AIM_MS,
  };
}
