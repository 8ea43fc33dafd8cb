import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { haveBubblewrap, INSTALL_BUBBLEWRAP } from "#scripts/lib/bubblewrap";
import { freePort } from "#scripts/lib/free-port";
import { untilStopped } from "#scripts/lib/lifetime";
import { DATA_DIR, ROOT } from "#scripts/lib/paths";
import { QUIET_ENV } from "#scripts/lib/quiet";
import { run } from "#scripts/lib/run";
import { localSecrets } from "#scripts/lib/secrets";
import { userSettings } from "#scripts/lib/settings";
import { DEFAULT_PORT, setUp, startHost } from "#scripts/lib/stack";
import { bold, main, Problem, say, step } from "#scripts/lib/terminal";

const HELP = `npm run dev [-- OPTIONS]

Serves Longshore with wrangler dev and a host agent; both reload when their sources change.

  --port N                  port of the API (default: 8787, or a free one)
  --data DIR                where state is kept (default: .longshore/dev in the checkout)
  --insecure-no-isolation   run sandboxes without isolation, as this user`;

const WRANGLER = join(ROOT, "node_modules", ".bin", "wrangler");
const READY_MS = 60_000;

await main(async () => {
  const { values } = parseArgs({
    options: {
      port: { type: "string" },
      data: { type: "string", default: join(DATA_DIR, "dev") },
      "insecure-no-isolation": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    say(HELP);
    return 0;
  }
  const insecure = values["insecure-no-isolation"];
  if (!insecure && !(await haveBubblewrap())) {
    throw new Problem(
      "Sandboxes cannot be isolated: bubblewrap is not installed.",
      `Install it: ${INSTALL_BUBBLEWRAP}`,
    );
  }
  const dataDir = values.data;
  const secrets = await localSecrets(dataDir);
  const port = await freePort(Number(values.port ?? DEFAULT_PORT));
  const url = `http://127.0.0.1:${port}`;
  await step("Migrating the local database", () =>
    run(WRANGLER, ["d1", "migrations", "apply", "DB", "--local", "--persist-to", dataDir], "The migration"),
  );
  const worker = await step("Starting wrangler dev", () =>
    startWrangler(port, dataDir, { ...secrets, ...userSettings() }),
  );
  const stopWorker = () => end(worker);
  try {
    const agent = await step("Starting the host agent", async () => {
      const local = await setUp(url, dataDir, secrets.SETUP_TOKEN);
      say(`\nAPI key: ${local.apiKey}`);
      return startHost(url, { dataDir, insecure, watch: true, onLog: say }, local, secrets.SETUP_TOKEN);
    });
    say(`${bold("Longshore")} is at ${url}, its reference at ${url}/docs. Ctrl-C stops everything.`);
    const crashed = () => process.kill(process.pid, "SIGTERM");
    worker.once("close", crashed);
    await untilStopped(async () => {
      worker.off("close", crashed);
      await agent.stop();
      await stopWorker();
    });
  } catch (error) {
    await stopWorker();
    throw error;
  }
  return 0;
});

/** wrangler in a process group of its own, so that Ctrl-C reaches it through us, after the agent. */
async function startWrangler(port: number, dataDir: string, vars: Record<string, string>) {
  mkdirSync(dataDir, { recursive: true });
  const envFile = join(dataDir, "vars.env");
  const lines = Object.entries({ RUNTIME_ANONYMOUS: "true", ...vars }).map(([name, value]) => `${name}='${value}'`);
  writeFileSync(envFile, lines.join("\n"), { mode: 0o600 });
  const child = spawn(
    WRANGLER,
    ["dev", "--local", "--ip", "127.0.0.1", "--port", String(port), "--persist-to", dataDir, "--env-file", envFile],
    { cwd: ROOT, env: { ...process.env, ...QUIET_ENV }, stdio: ["ignore", "inherit", "inherit"], detached: true },
  );
  process.once("exit", () => signalGroup(child));
  const deadline = Date.now() + READY_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined);
    if (answer) return child;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await end(child);
  throw new Problem("wrangler dev did not answer.", "Its own output above says why.");
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once("close", () => resolve());
    signalGroup(child);
  });
}

function signalGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, "SIGTERM");
}
