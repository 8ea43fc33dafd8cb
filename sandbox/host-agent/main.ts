import { type RunningAgent, startAgent } from "./agent.ts";
import { readConfig, UsageError } from "./config.ts";
import { Dismissed } from "./control.ts";
import { NoIsolation } from "./isolation/choose.ts";
import { closeInheritedDescriptors } from "./machine.ts";

const USAGE_EXIT = 2;
const REFUSED_EXIT = 3;

/** Tells the person in front of it what went wrong; a stack is only shown for what nobody expected. */
function giveUp(error: unknown): never {
  const expected = error instanceof UsageError || error instanceof Dismissed || error instanceof NoIsolation;
  console.error(expected ? `host-agent: ${error.message}` : error);
  process.exit(error instanceof UsageError ? USAGE_EXIT : expected ? REFUSED_EXIT : 1);
}

async function main(): Promise<void> {
  closeInheritedDescriptors();
  const config = readConfig(process.argv.slice(2), process.env);
  if (typeof config === "string") {
    process.stdout.write(config);
    return;
  }
  const leaving = new AbortController();
  let agent: RunningAgent | undefined;
  const asked = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        leaving.abort();
        // What an unfinished start has left running dies with this process.
        if (!agent) process.exit(0);
        resolve();
      });
    }
  });
  agent = await startAgent(config, leaving.signal);
  console.log(JSON.stringify({ ready: true, ...agent.ready }));
  const dismissal = await Promise.race([agent.dismissed, asked]);
  await agent.stop();
  if (typeof dismissal === "string") throw new Dismissed(dismissal);
  process.exit(0);
}

await main().catch(giveUp);
