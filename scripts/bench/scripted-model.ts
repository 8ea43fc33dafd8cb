import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "#scripts/lib/paths";

export type ScriptedModel = { url: string; stop(): Promise<void> };

/** The tests' scripted model server as a process of its own, so that its work is not counted as the client's. */
export async function startScriptedModel(scripts: Record<string, unknown>): Promise<ScriptedModel> {
  const child = spawn(process.execPath, [join(ROOT, "test", "support", "node", "model-server.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { url } = JSON.parse(await firstLine(child)) as { url: string };
  for (const [name, script] of Object.entries(scripts)) {
    const put = { method: "PUT", body: JSON.stringify(script) };
    await fetch(url.replace(/\/v1$/, `/control/scripts/${name}`), put);
  }
  return {
    url,
    stop: async () => {
      const gone = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGTERM");
      await gone;
    },
  };
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once("close", (code) => reject(new Error(`the model server ended with ${code}`)));
    if (child.stdout) createInterface({ input: child.stdout }).once("line", resolve);
  });
}
