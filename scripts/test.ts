import { spawn } from "node:child_process";
import { join } from "node:path";
import { haveBubblewrap, INSTALL_BUBBLEWRAP } from "#scripts/lib/bubblewrap";
import { buildAll } from "#scripts/lib/build";
import { ROOT } from "#scripts/lib/paths";
import { QUIET_ENV } from "#scripts/lib/quiet";
import { main, Problem, step } from "#scripts/lib/terminal";

/** `npm test [-- vitest arguments]`: everything that needs no account. The sandboxes in it are real. */
await main(async () => {
  if (!(await haveBubblewrap())) {
    throw new Problem("The tests run code in real sandboxes and need bubblewrap.", `Install it: ${INSTALL_BUBBLEWRAP}`);
  }
  await step("Building", buildAll);
  const vitest = spawn(join(ROOT, "node_modules", ".bin", "vitest"), ["run", ...process.argv.slice(2)], {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, ...QUIET_ENV },
  });
  return new Promise<number>((resolve) => vitest.once("close", (code) => resolve(code ?? 1)));
});
