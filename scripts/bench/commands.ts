import { spawn } from "node:child_process";
import { byTurns, overheadRow, type Row, timed } from "#scripts/bench/measure";
import type { World } from "#scripts/bench/world";

const TURNS = 60;
const AIM_MS = 15;

const BARE = ["--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin"];
const LIBS = ["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev"];

/** One command through the public API against starting bubblewrap for it. */
export async function measureCommands(world: World): Promise<Row[]> {
  const path = `/api/v1/sandboxes/${world.sandboxId}/commands/foreground`;
  const pair = await byTurns(
    TURNS,
    () => timed(() => world.call("POST", path, { command: "true" })),
    () => timed(() => run("bwrap", [...BARE, ...LIBS, "sh", "-c", "true"])),
  );
  return [overheadRow("a command, over a bare bubblewrap start", pair, AIM_MS)];
}

const run = (command: string, args: string[]): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: "ignore" });
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`${command} exited with ${code}`))));
  });
