import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const READY_MS = 30_000;
const STOP_MS = 20_000;
/** Without an address of its own the bridge of an older engine has no gateway, which the local Workers runtime needs. */
const BRIDGE = "172.31.77.1/24";
const BRIDGE_DEVICE = "docker0";
const SAID_BYTES = 600;

/** There is no engine here and none can be started; the message says why. */
export class NoEngine extends Error {}

export type Engine = {
  /** For DOCKER_HOST. */
  address: string;
  docker(...args: string[]): Promise<string>;
  stop(): Promise<void>;
};

/** The engine that DOCKER_HOST names, else one of our own whose state is all below `folder`, on a socket of its own. */
export async function startEngine(folder: string): Promise<Engine> {
  const named = process.env.DOCKER_HOST;
  if (named) return { address: named, docker: dockerAt(named), stop: async () => {} };
  if (process.getuid?.() !== 0) throw new NoEngine("starting a Docker engine takes root");
  if (!existsSync("/usr/sbin/dockerd") && !existsSync("/usr/bin/dockerd")) {
    throw new NoEngine("there is no Docker engine: apt-get install -y docker.io");
  }
  const hadBridge = existsSync(`/sys/class/net/${BRIDGE_DEVICE}`);
  const failures: string[] = [];
  // Some machines do not let us change their packet filter; published ports work without.
  for (const extra of [[], ["--iptables=false", "--ip-masq=false"]]) {
    const engine = await tryToStart(folder, extra, hadBridge);
    if (typeof engine !== "string") return engine;
    failures.push(engine);
  }
  throw new NoEngine(`the Docker engine does not start: ${failures.join(" / ")}`);
}

async function tryToStart(folder: string, extra: string[], hadBridge: boolean): Promise<Engine | string> {
  mkdirSync(folder, { recursive: true });
  const address = `unix://${join(folder, "socket")}`;
  const log = join(folder, "log");
  const output = openSync(log, "w");
  const child = spawn(
    "dockerd",
    [
      ...["--data-root", join(folder, "data"), "--exec-root", join(folder, "run"), "--pidfile", join(folder, "pid")],
      ...["--host", address, "--bip", BRIDGE, ...extra],
    ],
    { stdio: ["ignore", output, output], env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` } },
  );
  const atExit = () => child.kill("SIGKILL");
  process.once("exit", atExit);
  const docker = dockerAt(address);
  const stop = async () => {
    await end(child);
    process.off("exit", atExit);
    if (!hadBridge) await promisify(execFile)("ip", ["link", "delete", BRIDGE_DEVICE]).catch(() => undefined);
  };
  const deadline = Date.now() + READY_MS;
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    const isReady = await docker("info").then(
      () => true,
      () => false,
    );
    if (isReady) return { address, docker, stop };
    await sleep(200);
  }
  await stop();
  return readFileSync(log, "utf8").trim().slice(-SAID_BYTES);
}

const dockerAt =
  (address: string): Engine["docker"] =>
  async (...args) => {
    const env = { ...process.env, DOCKER_HOST: address, DOCKER_BUILDKIT: "0" };
    return (await promisify(execFile)("docker", args, { env, maxBuffer: 16 * 1024 * 1024 })).stdout.trim();
  };

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGTERM");
  const insist = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await gone;
  clearTimeout(insist);
}
