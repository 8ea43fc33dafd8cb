import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startDevServer } from "#scripts/containers/dev-server";
import { type Engine, NoEngine, startEngine } from "#scripts/containers/engine";
import { makeImages, prune } from "#scripts/containers/images";
import { bundleSandboxPrograms } from "#scripts/lib/bundle";
import { ROOT } from "#scripts/lib/paths";
import { main, say, step } from "#scripts/lib/terminal";

const SAID_BYTES = 6_000;

/**
 * `npm run test:containers`: sandboxes in real containers, by a Docker engine of its own. Where none can be started it says
 * why, and that is no failure.
 */
await main(async () => {
  // Not on a file system in memory, on which an engine cannot stack its layers.
  const folder = mkdtempSync("/var/tmp/longshore-containers-");
  let engine: Engine | undefined;
  try {
    engine = await step("Starting a Docker engine", () => startEngine(join(folder, "engine")));
    const started = engine;
    await step("Making the base image and the sidecar", () => makeImages(started));
    await step("Bundling the sandbox programs", () => bundleSandboxPrograms());
    return await test(started, folder);
  } catch (error) {
    if (!(error instanceof NoEngine)) throw error;
    say(`not run: ${error.message}`);
    return 0;
  } finally {
    await engine?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

async function test(engine: Engine, folder: string): Promise<number> {
  try {
    const server = await step("Starting wrangler dev", () => startDevServer(engine, join(folder, "dev")));
    try {
      const code = await vitest({
        CONTAINERS_URL: server.url,
        CONTAINERS_DOCKER: engine.address,
        SIGNING_KEY: server.secrets.SIGNING_KEY,
        SETUP_TOKEN: server.secrets.SETUP_TOKEN,
      });
      if (code !== 0) say(readFileSync(server.log, "utf8").slice(-SAID_BYTES));
      return code;
    } finally {
      await server.stop();
    }
  } finally {
    await prune(engine).catch((error: Error) => say(`not everything was tidied up: ${error.message}`));
  }
}

function vitest(env: Record<string, string>): Promise<number> {
  const args = ["run", "--config", "vitest.containers.config.ts", ...process.argv.slice(2)];
  const child = spawn(join(ROOT, "node_modules", ".bin", "vitest"), args, {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  return new Promise((resolve) => child.once("close", (code) => resolve(code ?? 1)));
}
