import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Engine } from "#scripts/containers/engine";
import { BASE_IMAGE, SIDECAR_IMAGE } from "#scripts/containers/images";
import { containerTables, usingContainers } from "#scripts/lib/containers";
import { freePort } from "#scripts/lib/free-port";
import { ROOT } from "#scripts/lib/paths";
import { QUIET_ENV } from "#scripts/lib/quiet";
import { run } from "#scripts/lib/run";
import { localSecrets } from "#scripts/lib/secrets";
import { Problem } from "#scripts/lib/terminal";

const WRANGLER = join(ROOT, "node_modules", ".bin", "wrangler");
/** Paths in it are relative to it. */
const CONFIG = join(ROOT, ".wrangler.containers.toml");
const READY_MS = 120_000;
const STOP_MS = 20_000;
const SAID_BYTES = 4_000;

export type DevServer = {
  url: string;
  log: string;
  secrets: { SIGNING_KEY: string; SETUP_TOKEN: string };
  stop(): Promise<void>;
};

/** Serves the tests' Worker by `wrangler dev`, with sandboxes in real containers of a local engine. */
export async function startDevServer(engine: Engine, folder: string): Promise<DevServer> {
  mkdirSync(folder, { recursive: true });
  writeConfig();
  const secrets = await localSecrets(folder);
  const envFile = join(folder, "vars.env");
  writeFileSync(
    envFile,
    Object.entries(secrets)
      .map(([name, value]) => `${name}='${value}'`)
      .join("\n"),
    { mode: 0o600 },
  );
  const local = ["--config", CONFIG, "--local", "--persist-to", folder];
  await run(WRANGLER, ["d1", "migrations", "apply", "DB", ...local], "The migration");
  const port = await freePort();
  const log = join(folder, "log");
  const output = openSync(log, "w");
  // In a process group of its own, which is ended as a whole.
  const child = spawn(WRANGLER, ["dev", ...local, "--ip", "127.0.0.1", "--port", String(port), "--env-file", envFile], {
    cwd: ROOT,
    detached: true,
    stdio: ["ignore", output, output],
    env: {
      ...process.env,
      ...QUIET_ENV,
      DOCKER_HOST: engine.address,
      WRANGLER_DOCKER_HOST: engine.address,
      WRANGLER_DOCKER_BIN: join(import.meta.dirname, "docker.sh"),
      MINIFLARE_CONTAINER_EGRESS_IMAGE: SIDECAR_IMAGE,
    },
  });
  const atExit = () => signalGroup(child, "SIGKILL");
  process.once("exit", atExit);
  const stop = async () => {
    await end(child);
    process.off("exit", atExit);
    rmSync(CONFIG, { force: true });
  };
  const url = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + READY_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    if (
      await fetch(`${url}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return { url, log, secrets, stop };
    await sleep(200);
  }
  await stop();
  throw new Problem("wrangler dev did not answer.", readFileSync(log, "utf8").trim().slice(-SAID_BYTES));
}

function writeConfig(): void {
  const [local = ""] = readFileSync(join(ROOT, "wrangler.toml"), "utf8").split(/^\[env\.production\]$/m);
  const config = usingContainers(local, "container").replace(
    'main = "src/worker.ts"',
    'main = "test/containers/worker.ts"',
  );
  writeFileSync(CONFIG, config + containerTables({ api: "native", prefix: "", base: BASE_IMAGE }));
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("close", resolve));
  signalGroup(child, "SIGTERM");
  const insist = setTimeout(() => signalGroup(child, "SIGKILL"), STOP_MS);
  await gone;
  clearTimeout(insist);
}

function signalGroup({ pid, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, signal);
}
