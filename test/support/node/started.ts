import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "#scripts/lib/paths";
import { openFolder } from "#test/node/open-folder";

export type Started = {
  url: string;
  apiKey: string;
  teamId: string;
  agentPid: number;
  dataDir: string;
  process: ChildProcess;
  /** Stops the product and deletes its data; answers its exit code. */
  stop(): Promise<number | null>;
};

const READY_MS = 90_000;

/** `npm start` as a user runs it, in a process of its own, on data of its own. The bundle must be built. */
export async function startedProduct(env: Record<string, string> = {}): Promise<Started> {
  const dataDir = openFolder("e2e");
  const args = [join(ROOT, "scripts", "start.ts"), "--json", "--no-build", "--data", dataDir];
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ready = await firstJson(child);
  return {
    ...(ready as Pick<Started, "url" | "apiKey" | "teamId" | "agentPid">),
    dataDir,
    process: child,
    stop: async () => {
      const code = await ended(child, "SIGTERM");
      rmSync(dataDir, { recursive: true, force: true });
      return code;
    },
  };
}

/** Sends a signal and waits for the exit code; null when a signal ended it. */
export function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  const gone = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  child.kill(signal);
  return gone;
}

function firstJson(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let output = "";
    const timer = setTimeout(() => reject(new Error(`not ready in time:\n${output}`)), READY_MS);
    const hear = (line: string) => {
      output += `${line}\n`;
      if (!line.startsWith("{")) return;
      clearTimeout(timer);
      resolve(JSON.parse(line));
    };
    for (const stream of [child.stdout, child.stderr]) if (stream) createInterface({ input: stream }).on("line", hear);
    child.once("close", (code) => reject(new Error(`ended with ${code}:\n${output}`)));
  });
}
