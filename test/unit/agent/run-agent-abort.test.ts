import { expect, test, vi } from "vitest";
import { buildContext } from "#domain/agent/context";
import { runAgent } from "#domain/agent/run-agent";
import { effectKey } from "#domain/session/journal";
import { agentWorld } from "#test/node/agent-world";
import { afterWrite } from "#test/node/memory-journal";
import { pairingProblem } from "#test/node/pairing";
import { calls, says } from "#test/node/scripted-model";

const SCRIPT = [
  calls("First.", ["a", "Look", { text: "one" }], ["b", "Do", { text: "two" }]),
  calls("Second.", ["c", "Do", { text: "three" }]),
  says("All ", "done."),
];

test("R7 an abort after any journal call ends the attempt, and the session stays usable for a strict provider", async () => {
  const whole = agentWorld(SCRIPT);
  await runAgent(whole.deps, whole.run.journal());
  for (let n = 1; n <= whole.run.writes.length; n++) {
    const { run, deps, abort } = agentWorld(SCRIPT);
    const journal = afterWrite(run.journal(), n, () => abort.abort(new Error("cancelled")));
    expect(await runAgent(deps, journal), `write ${n}`).toEqual({ type: "aborted" });
    run.add({ role: "user", content: "next", runId: "run_2", origin: "user" });
    const { messages } = buildContext({ system: "", history: run.messages, runId: "run_2", budgetChars: 1e6 });
    expect(pairingProblem(messages), `write ${n}`).toBe(null);
  }
});

test("R7 an abort while tools run kills each of them by its key and stores no result", async () => {
  const { run, deps, killed, abort } = agentWorld([calls("", ["a", "Hang", {}], ["b", "Hang", {}])]);
  const running = runAgent(deps, run.journal());
  await vi.waitUntil(() => run.writes.filter((write) => write === "toolStarted").length === 2);
  abort.abort(new Error("cancelled"));
  expect(await running).toEqual({ type: "aborted" });
  expect(killed.toSorted()).toEqual(["a", "b"].map((id) => effectKey(run.runId, id)));
  expect(run.writes).not.toContain("toolFinished");
});

test("an abort is heard although the model hangs", async () => {
  const { run, deps, abort } = agentWorld([
    async function* () {
      yield { type: "text", delta: "half" };
      await new Promise(() => {});
    },
  ]);
  const running = runAgent(deps, run.journal());
  await vi.waitUntil(() => run.writes.includes("delta"));
  abort.abort(new Error("cancelled"));
  expect(await running).toEqual({ type: "aborted" });
  expect(run.messages.at(-1)?.content).toBe("half");
});

test("an attempt whose signal has already aborted does nothing", async () => {
  const { run, deps, abort, model } = agentWorld(SCRIPT);
  abort.abort(new Error("cancelled"));
  expect(await runAgent(deps, run.journal())).toEqual({ type: "aborted" });
  expect({ writes: run.writes, requests: model.requests }).toEqual({ writes: [], requests: [] });
});
