import { parseArgs } from "node:util";
import { api } from "#scripts/lib/api";
import { haveBubblewrap, INSTALL_BUBBLEWRAP, warnNoIsolation } from "#scripts/lib/bubblewrap";
import { buildAll } from "#scripts/lib/build";
import { untilStopped } from "#scripts/lib/lifetime";
import { DATA_DIR } from "#scripts/lib/paths";
import { endsRun, readEvents, type StreamedEvent } from "#scripts/lib/read-events";
import { type Stack, startStack } from "#scripts/lib/stack";
import { bold, dim, green, main, Problem, red, say, step } from "#scripts/lib/terminal";

const HELP = `npm run quickstart [-- --once]

Starts Longshore on this machine, runs a first agent session in front of you and keeps serving until Ctrl-C.

  --once        stop after the run; the exit code is 0 only if the run completed
  --data DIR    where state is kept (default: .longshore in the checkout)
  --port N      port of the API (default: 8787, or a free one)`;

const TASK = `Show me where you are.

\`\`\`sh
echo "hello from $(hostname), user $(id -u), process $$ of $(ls /proc | grep -c '^[0-9]')"
\`\`\`
\`\`\`sh
echo "Longshore was here" > note.txt && cat note.txt && ls -l
\`\`\``;

await main(async () => {
  const { values } = parseArgs({
    options: {
      once: { type: "boolean" },
      help: { type: "boolean" },
      data: { type: "string" },
      port: { type: "string" },
    },
  });
  if (values.help) {
    say(HELP);
    return 0;
  }
  say(`${bold("Longshore")} ${dim("an agent platform on your machine, nothing leaves it")}\n`);
  const isolated = await haveBubblewrap();
  await step("Building", buildAll);
  const stack = await start(values.data ?? DATA_DIR, values.port ? Number(values.port) : undefined, isolated);
  const completed = await demonstrate(stack).catch(async (error: unknown) => {
    await stack.stop();
    throw error;
  });
  if (values.once) {
    await step("Stopping", stack.stop);
    return completed ? 0 : 1;
  }
  whereToGo(stack);
  await untilStopped(stack.stop);
  return completed ? 0 : 1;
});

async function start(dataDir: string, port: number | undefined, isolated: boolean): Promise<Stack> {
  const options = { dataDir, ...(port !== undefined && { port }) };
  if (!isolated) {
    warnNoIsolation(`bubblewrap is not installed (${INSTALL_BUBBLEWRAP})`);
    return step("Starting the API and a host without isolation", () => startStack({ ...options, insecure: true }));
  }
  try {
    return await step("Starting the API and a host for sandboxes", () => startStack(options));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    warnNoIsolation(`bubblewrap is installed but cannot isolate here. ${error.message} ${error.remedy}`);
    return step("Starting the API and a host without isolation", () => startStack({ ...options, insecure: true }));
  }
}

/** The main job of the product, in front of the user. True when the run completed. */
async function demonstrate(stack: Stack): Promise<boolean> {
  const call = api(stack.url, { "x-api-key": stack.apiKey });
  const workspace = await step("Creating a workspace and a session", () =>
    call<{ id: string }>("POST", "/api/v1/workspaces", { name: "quickstart", runtime: "base" }),
  );
  const session = await call<{ id: string }>("POST", `/api/v1/workspaces/${workspace.id}/sessions`, {
    title: "Quickstart",
    agentName: "builder",
  });
  const run = await call<{ runId: string }>("POST", `/api/v1/sessions/${session.id}/messages`, { content: TASK });
  say(`\n${bold("you")}\n${TASK}\n\n${bold("agent")} ${dim(`run ${run.runId}`)}`);
  let last: StreamedEvent | undefined;
  await readEvents(
    { url: stack.url, apiKey: stack.apiKey, sessionId: session.id },
    (event) => {
      last = event;
      show(event);
    },
    endsRun(run.runId),
  );
  const completed = last?.type === "run.completed";
  say(
    completed
      ? `\n${green("The run completed.")}`
      : `\n${red(`The run ended with ${last?.type}.`)} ${JSON.stringify(last?.data)}`,
  );
  return completed;
}

function show({ type, data }: StreamedEvent): void {
  if (type === "message.delta" && typeof data.delta === "string") process.stdout.write(data.delta);
  if (type === "tool.started")
    say(dim(`\n[${data.toolName}] ${JSON.stringify((data.input as { command?: string }).command)}`));
  if (type === "tool.failed") say(red(`[${data.toolName}] ${data.errorMessage}`));
}

function whereToGo({ url, apiKey, agent }: Stack): void {
  const isolation =
    agent?.isolation === "none" ? red("sandboxes are NOT isolated") : "sandboxes are isolated by bubblewrap";
  say(`
${bold("It is yours now")} (${isolation})
  API        ${url}/api/v1
  Reference  ${url}/docs
  API key    ${apiKey}

Try it:
  curl -s ${url}/api/v1/workspaces -H 'X-API-Key: ${apiKey}'

Ctrl-C stops everything. State is kept; ${bold("npm start")} serves it again without the demonstration.`);
  for (const limit of agent?.unenforced ?? []) say(dim(`  note: ${limit}`));
}
