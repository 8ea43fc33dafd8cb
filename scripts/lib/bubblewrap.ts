import { spawnSync } from "node:child_process";
import { run } from "#scripts/lib/run";
import { red, step } from "#scripts/lib/terminal";

export const INSTALL_BUBBLEWRAP = "sudo apt-get install -y bubblewrap";

const runs = (command: string) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;

/** True when sandboxes can be isolated; installs bubblewrap where this user may, and says so. */
export async function haveBubblewrap(): Promise<boolean> {
  if (process.platform !== "linux") return false;
  if (runs("bwrap")) return true;
  if (process.getuid?.() !== 0 || !runs("apt-get")) return false;
  await step("Installing bubblewrap, which isolates the sandboxes (apt-get install bubblewrap)", async () => {
    await run("apt-get", ["update", "-qq"], "apt-get update");
    await run("apt-get", ["install", "-y", "-qq", "bubblewrap"], "Installing bubblewrap");
  });
  return runs("bwrap");
}

/** What a user must know before code runs on the bare machine. */
export function warnNoIsolation(reason: string): void {
  const remedy =
    process.platform === "linux"
      ? `Isolate them with one line, then start again:\n\n    ${INSTALL_BUBBLEWRAP}\n`
      : "Isolated sandboxes need Linux; run Longshore in a Linux machine or container before you let others in.";
  console.error(
    red(`
!! NO ISOLATION: ${reason}.
!! Commands of agents run as YOU, with your files and your network. Use this for a look around only.
`) + remedy,
  );
}
