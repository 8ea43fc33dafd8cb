import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { haveBubblewrap, INSTALL_BUBBLEWRAP } from "#scripts/lib/bubblewrap";
import { buildAll } from "#scripts/lib/build";
import { untilStopped } from "#scripts/lib/lifetime";
import { DATA_DIR } from "#scripts/lib/paths";
import { userSettings } from "#scripts/lib/settings";
import { startStack } from "#scripts/lib/stack";
import { bold, dim, main, Problem, say, step } from "#scripts/lib/terminal";

const HELP = `npm start [-- OPTIONS]

Serves Longshore on this machine: the API, its databases and a host agent for sandboxes.

  --port N                  port of the API (default: 8787, or a free one)
  --host ADDRESS            address to listen on (default: 127.0.0.1)
  --data DIR                where state is kept (default: .longshore in the checkout)
  --no-agent                without a host agent: sandboxes then need a host of your own
  --insecure-no-isolation   run sandboxes without isolation, as this user
  --no-build                serve the bundle that is there
  --json                    print one line of JSON when ready instead of words`;

const LOOPBACK = ["127.0.0.1", "::1", "localhost"];

await main(async () => {
  const { values } = parseArgs({
    options: {
      port: { type: "string" },
      host: { type: "string", default: "127.0.0.1" },
      data: { type: "string", default: DATA_DIR },
      "no-agent": { type: "boolean", default: false },
      "insecure-no-isolation": { type: "boolean", default: false },
      "no-build": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    say(HELP);
    return 0;
  }
  if (userSettings().RUNTIME_ANONYMOUS === "true" && !LOOPBACK.includes(values.host)) {
    throw new Problem(
      `Callers without a key would be let in from everywhere that reaches ${values.host}.`,
      "Unset RUNTIME_ANONYMOUS, or leave out --host.",
    );
  }
  const progress = values.json ? <T>(_: string, work: () => Promise<T>) => work() : step;
  const withAgent = !values["no-agent"];
  const insecure = values["insecure-no-isolation"];
  if (withAgent && !insecure && !(await haveBubblewrap())) {
    throw new Problem(
      "Sandboxes cannot be isolated: bubblewrap is not installed.",
      `Install it: ${INSTALL_BUBBLEWRAP}`,
    );
  }
  if (!values["no-build"]) await progress("Building", buildAll);
  mkdirSync(values.data, { recursive: true, mode: 0o711 });
  const logFile = join(values.data, "longshore.log");
  const stack = await progress("Starting", () =>
    startStack({
      dataDir: values.data,
      host: values.host,
      ...(values.port && { port: Number(values.port) }),
      insecure,
      withAgent,
      onLog: (line) => appendFileSync(logFile, `${line}\n`),
    }),
  );
  if (values.json) {
    const { url, apiKey, teamId, agent } = stack;
    say(JSON.stringify({ ready: true, url, apiKey, teamId, pid: process.pid, agentPid: agent?.process.pid ?? null }));
  } else {
    say(`${bold("Longshore")} is at ${stack.url} ${dim(`(reference: ${stack.url}/docs, log: ${logFile})`)}`);
    say(`API key: ${stack.apiKey}`);
    for (const limit of stack.agent?.unenforced ?? []) say(dim(`note: ${limit}`));
  }
  await untilStopped(stack.stop);
  return 0;
});
