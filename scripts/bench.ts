import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startBarePlatform } from "#scripts/bench/bare-platform";
import { Capsules, measureCapsules, unusual } from "#scripts/bench/capsules";
import { measureCommands } from "#scripts/bench/commands";
import { fleetRows, measureFleet } from "#scripts/bench/fleet";
import { measureLastWrites, WRITER_SCRIPT } from "#scripts/bench/last-write";
import { measureLeaks } from "#scripts/bench/leaks";
import type { Row } from "#scripts/bench/measure";
import { residentMib } from "#scripts/bench/memory";
import { startScriptedModel } from "#scripts/bench/scripted-model";
import { measureSessions } from "#scripts/bench/sessions";
import { measureStreams, SLOW_SCRIPT } from "#scripts/bench/streams";
import { measureThroughput } from "#scripts/bench/throughput";
import { World } from "#scripts/bench/world";
import { buildAll } from "#scripts/lib/build";
import { startStack } from "#scripts/lib/stack";
import { main, say } from "#scripts/lib/terminal";

const HELP = `npm run bench [-- --json]

Starts the product as npm start does, with a scripted model server, and measures it beside the bare platform.
Absolute times depend on the machine; the ratios are the result.

  --json   print the rows as JSON`;

/** Sandboxes that are alive at once, and how long they are watched while they idle. */
const FLEET = 50;
const WATCH_MS = 10_000;

await main(async () => {
  const { values } = parseArgs({ options: { json: { type: "boolean" }, help: { type: "boolean" } } });
  if (values.help) {
    say(HELP);
    return 0;
  }
  const dataDir = mkdtempSync(join(tmpdir(), "longshore-bench-"));
  chmodSync(dataDir, 0o711);
  await buildAll();
  const model = await startScriptedModel({ slow: SLOW_SCRIPT, writer: WRITER_SCRIPT });
  const bare = await startBarePlatform(dataDir);
  const stack = await startStack({
    dataDir,
    vars: {
      LOG_LEVEL: "error",
      MODELS: JSON.stringify({
        default: "echo",
        models: { echo: { provider: "openai-compatible", model: "echo", url: model.url } },
      }),
    },
  });
  try {
    const world = await World.open(stack);
    const idle = residentMib(process.pid, "workerd");
    const capsules = new Capsules(world.call);
    const agentPid = stack.agent?.process.pid ?? 0;
    const rows = [
      ...(await measureSessions(world, bare.url, model.url)),
      ...(await measureThroughput(world)),
      ...(await measureCapsules(capsules)),
      ...(await measureCommands(capsules)),
      ...(await measureLastWrites(world, capsules)),
      ...(await measureLeaks(capsules, agentPid)),
      ...(await measureStreams(world)),
      ...memory(idle),
      ...(await fleet(world, capsules, agentPid)),
    ];
    if (values.json) say(JSON.stringify({ date: new Date().toISOString(), machine: machine(), rows }));
    else say(table(rows));
    return rows.some(({ met }) => met === false) ? 1 : 0;
  } finally {
    await stack.stop();
    await bare.stop();
    await model.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
});

/** The sandbox that all else was measured in is not one of them. */
async function fleet(world: World, capsules: Capsules, agentPid: number): Promise<Row[]> {
  await world.leave();
  const start = (index: number) => capsules.create(unusual(FLEET + index));
  return fleetRows(await measureFleet({ agentPid, start, count: FLEET, watchMs: WATCH_MS }));
}

function memory(idleMib: number): Row[] {
  const row = (figure: string, mib: number): Row => ({ figure, value: `${mib.toFixed(0)} MiB`, aim: "", met: null });
  return [
    row("memory of both runtimes at the start", idleMib),
    row("memory of both runtimes at the end", residentMib(process.pid, "workerd")),
  ];
}

/** The load tells how many others wanted the processors too. */
function machine(): string {
  const [, load = 0] = loadavg();
  return `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${load.toFixed(0)}`;
}

function table(rows: Row[]): string {
  const mark = ({ met }: Row) => (met === null ? "" : met ? "yes" : "no");
  const lines = rows.map((row) => `| ${row.figure} | ${row.value} | ${row.aim} | ${mark(row)} |`);
  const head = ["| figure | measured | aim | met |", "| --- | --- | --- | --- |"];
  return [`${new Date().toISOString().slice(0, 10)}, ${machine()}\n`, ...head, ...lines].join("\n");
}
