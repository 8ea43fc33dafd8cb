import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { api } from "#scripts/lib/api";
import { freePort } from "#scripts/lib/free-port";
import { ROOT } from "#scripts/lib/paths";
import { endsRun, readEvents } from "#scripts/lib/read-events";
import { openFolder } from "#test/node/open-folder";
import { ended } from "#test/node/started";

function program(script: string, args: string[]) {
  const child = spawn(process.execPath, [join(ROOT, "scripts", script), ...args], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const seen = { output: "" };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (seen.output += chunk));
  return { child, seen };
}

test("the quickstart runs a command in a sandbox and exits 0, also on what an earlier one left, on another port", async () => {
  const data = openFolder("quickstart");
  for (const port of [await freePort(), await freePort()]) {
    const { child, seen } = program("quickstart.ts", ["--once", "--data", data, "--port", String(port)]);
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect(seen.output).toContain("hello from sandbox");
    expect(seen.output).toContain("The run completed.");
    expect(code).toBe(0);
  }
  rmSync(data, { recursive: true, force: true });
});

test("npm run dev serves a run through wrangler dev and lets callers from this machine in without a key", async () => {
  const data = openFolder("dev");
  const port = await freePort();
  const { child, seen } = program("dev.ts", ["--port", String(port), "--data", data]);
  try {
    await expect.poll(() => seen.output, { timeout: 90_000, interval: 200 }).toContain("Ctrl-C stops everything");
    const url = `http://127.0.0.1:${port}`;
    const call = api(url, {});
    const { id } = await call<{ id: string }>("POST", "/api/v1/workspaces", { name: "dev", runtime: "base" });
    const session = await call<{ id: string }>("POST", `/api/v1/workspaces/${id}/sessions`, { agentName: "builder" });
    const { runId } = await call<{ runId: string }>("POST", `/api/v1/sessions/${session.id}/messages`, {
      content: "$ echo in-$((1+1))-dev",
    });
    let text = "";
    await readEvents(
      { url, sessionId: session.id },
      ({ data }) => {
        text += data.delta ?? "";
      },
      endsRun(runId),
    );
    expect(text).toContain("in-2-dev");
  } finally {
    expect(await ended(child, "SIGTERM")).toBe(0);
  }
  await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow();
  rmSync(data, { recursive: true, force: true });
});
