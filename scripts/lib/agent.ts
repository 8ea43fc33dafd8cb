import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { NODE_FLAGS } from "#sandbox/host-agent/flags";
import { SANDBOX_PROGRAMS } from "#scripts/lib/bundle";
import { ROOT } from "#scripts/lib/paths";
import { Problem } from "#scripts/lib/terminal";

export type AgentOptions = {
  control: string;
  stateDir: string;
  port: number;
  /** One-time registration token; not needed once the state folder holds the host's credentials. */
  token?: string | undefined;
  insecure: boolean;
  /** Runs the agent from its sources, and restarts it when they change; otherwise the bundle runs. */
  watch?: boolean;
  onLog?: (line: string) => void;
};

export type Agent = {
  hostId: string;
  address: string;
  isolation: "bubblewrap" | "none";
  unenforced: string[];
  process: ChildProcess;
  stop(): Promise<void>;
};

const READY_MS = 60_000;
const STOP_MS = 10_000;
const RESTART_MS = 500;

/**
 * Starts the host agent as its own process and answers once it is registered and its self-test has passed. An agent
 * that dies later is started again on its credentials until `stop` is called.
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const first = launch(options);
  const agent: Agent = { ...(await readyOrStopped(first, options)), process: first, stop: () => halt() };
  let stopping = false;
  const halt = () => {
    stopping = true;
    return end(agent.process);
  };
  const revive = async () => {
    await new Promise((resolve) => setTimeout(resolve, RESTART_MS));
    if (stopping) return;
    options.onLog?.("the host agent ended by itself; starting it again");
    const next = launch({ ...options, token: undefined });
    agent.process = next;
    next.once("close", revive);
    await ready(next, options.onLog).catch((error: Error) => options.onLog?.(error.message));
  };
  first.once("close", revive);
  return agent;
}

function launch(options: AgentOptions): ChildProcess {
  const child = spawn(
    process.execPath,
    [
      ...NODE_FLAGS,
      ...(options.watch
        ? ["--watch", "--watch-preserve-output", join(ROOT, "sandbox", "host-agent", "main.ts")]
        : [join(SANDBOX_PROGRAMS, "host-agent.mjs")]),
      ...["--control", options.control, "--state", options.stateDir, "--port", String(options.port)],
      ...(options.token ? ["--token", options.token] : []),
      ...(options.insecure ? ["--insecure-no-isolation"] : []),
    ],
    { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] },
  );
  const leave = () => child.kill("SIGTERM");
  process.once("exit", leave);
  child.once("close", () => process.off("exit", leave));
  return child;
}

async function readyOrStopped(child: ChildProcess, options: AgentOptions): Promise<Ready> {
  try {
    return await ready(child, options.onLog);
  } catch (error) {
    await end(child);
    throw error;
  }
}

type Ready = Pick<Agent, "hostId" | "address" | "isolation" | "unenforced">;

function ready(child: ChildProcess, onLog: AgentOptions["onLog"]): Promise<Ready> {
  return new Promise((resolve, reject) => {
    const recent: string[] = [];
    const fail = (what: string) =>
      reject(new Problem(`The host agent ${what}.`, recent.join("\n") || "It printed nothing; try `npm ci` again."));
    const timer = setTimeout(() => fail(`was not ready after ${READY_MS / 1000} s`), READY_MS);
    const hear = (line: string) => {
      const news = readyLine(line);
      if (!news) {
        recent.push(line);
        if (recent.length > 30) recent.shift();
        return onLog?.(line);
      }
      clearTimeout(timer);
      resolve(news);
    };
    for (const stream of [child.stdout, child.stderr]) if (stream) createInterface({ input: stream }).on("line", hear);
    child.once("error", (error) => fail(`could not start: ${error.message}`));
    child.once("close", (code) => {
      clearTimeout(timer);
      fail(`stopped (exit code ${code})`);
    });
  });
}

function readyLine(line: string): Ready | undefined {
  if (!line.startsWith('{"ready"')) return undefined;
  return JSON.parse(line) as Ready;
}

/** Asks the agent to stop, and insists when it does not. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGTERM");
  const insist = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await gone;
  clearTimeout(insist);
}
