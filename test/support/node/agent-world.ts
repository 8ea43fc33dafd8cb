import { z } from "zod";
import type { AgentDeps } from "#domain/agent/run-agent";
import type { AgentPolicy } from "#domain/agent/values";
import { defineTool, type Tool, ToolFailure, textOutput } from "#domain/tool/tool";
import { Fault } from "#kernel/fault";
import { fakeLink } from "#test/node/fake-link";
import { MemoryRun } from "#test/node/memory-journal";
import { scriptedModel } from "#test/node/scripted-model";

const POLICY: AgentPolicy = {
  maxSteps: null,
  runTimeoutSeconds: null,
  toolTimeoutSeconds: null,
  parallelToolCalls: true,
};

/** A world of one run: tools that count their effects by key, and a link that remembers what was killed. */
export function agentWorld(turns: Parameters<typeof scriptedModel>[0], policy: Partial<AgentPolicy> = {}) {
  const effects: string[] = [];
  const killed: string[] = [];
  const running = { now: 0, most: 0 };
  const counting = (name: string, retry: "safe" | "manual"): Tool =>
    defineTool({
      name,
      description: name,
      retry,
      input: z.object({ text: z.string() }),
      async run({ text }, { key }) {
        effects.push(key);
        running.most = Math.max(running.most, ++running.now);
        await new Promise((resolve) => setImmediate(resolve));
        running.now -= 1;
        if (text === "fail") throw new ToolFailure("it went wrong");
        if (text === "fault") throw new Fault("file_not_found", "a.txt does not exist");
        if (text === "bug") throw new TypeError("secret internals");
        return textOutput(`did ${text}`);
      },
    });
  const hang = defineTool({
    name: "Hang",
    description: "never ends",
    retry: "manual",
    input: z.object({}),
    run: () => new Promise<never>(() => {}),
  });
  const run = new MemoryRun([{ role: "user", content: "go", runId: "run_00000000000000000000_1", origin: "user" }]);
  const model = scriptedModel(turns);
  const abort = new AbortController();
  const deps: AgentDeps = {
    agent: {
      name: "tester",
      mode: "primary",
      source: "platform",
      description: "",
      prompt: "be good",
      model: null,
      tools: ["Look", "Do", "Hang"],
      policy: { ...POLICY, ...policy },
    },
    model,
    tools: [counting("Look", "safe"), counting("Do", "manual"), counting("Other", "manual"), hang],
    link: fakeLink({ kill: async (key) => void killed.push(key) }),
    signal: abort.signal,
    now: () => 0,
  };
  return { run, deps, model, effects, killed, running, abort };
}
