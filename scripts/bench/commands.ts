import { RunningBubblewrap, startBubblewrap } from "#scripts/bench/bare-bubblewrap";
import type { Capsules } from "#scripts/bench/capsules";
import { byTurns, overheadRow, type Row, timed } from "#scripts/bench/measure";

const TURNS = 60;
const AIM_MS = 10;

/** One command through the public API, against bare bubblewrap: started for it, and running already. */
export async function measureCommands(capsules: Capsules): Promise<Row[]> {
  const { id } = await capsules.create();
  const running = new RunningBubblewrap();
  try {
    const exec = () => timed(() => capsules.exec(id, "/usr/bin/true"));
    const started = await byTurns(TURNS, exec, () => timed(startBubblewrap));
    const within = await byTurns(TURNS, exec, () => timed(() => running.run()));
    return [
      overheadRow("a command, over starting bubblewrap for it", started, AIM_MS),
      overheadRow("a command, over a bubblewrap that runs already", within, AIM_MS),
    ];
  } finally {
    await running.stop();
    await capsules.destroy(id);
  }
}
