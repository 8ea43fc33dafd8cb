import { expect, test } from "vitest";
import { runAgent } from "#domain/agent/run-agent";
import { ModelError } from "#domain/model/ports";
import { effectKey } from "#domain/session/journal";
import { textOutput } from "#domain/tool/tool";
import { agentWorld } from "#test/node/agent-world";
import { afterWrite, Crash } from "#test/node/memory-journal";
import { calls, says } from "#test/node/scripted-model";

const LONG_SCRIPT = [
  calls("I look first.", ["a", "Look", { text: "one" }], ["b", "Look", { text: "two" }]),
  calls("", ["c", "Look", { text: "three" }]),
  says("All ", "done."),
];

test("a run calls the model and its tools until the model asks for nothing", async () => {
  const { run, deps, model } = agentWorld(LONG_SCRIPT);
  expect(await runAgent(deps, run.journal())).toEqual({ type: "completed" });
  expect(run.transcript().at(-1)).toEqual({ role: "assistant", content: [{ type: "text", text: "All done." }] });
  expect(model.requests).toHaveLength(3);
  expect(model.requests[0]).toMatchObject({ system: "be good", messages: [{ role: "user", content: "go" }] });
  expect(model.requests[0]!.tools.map((tool) => tool.name)).toEqual(["Look", "Do", "Hang"]);
});

test("R2 R3 a crash at any journal call leads to the transcript of an uninterrupted run", async () => {
  const whole = agentWorld(LONG_SCRIPT);
  await runAgent(whole.deps, whole.run.journal());
  const expected = sorted(whole.run.transcript());
  const total = whole.run.writes.length;
  expect(total).toBeGreaterThan(15);
  for (const when of ["before", "after"] as const) {
    for (let call = 1; call <= total; call++) {
      const { run, deps, effects } = agentWorld(LONG_SCRIPT);
      await expect(runAgent(deps, run.journal({ call, when }))).rejects.toThrow(Crash);
      expect(await runAgent(deps, run.journal())).toEqual({ type: "completed" });
      expect(sorted(run.transcript()), `crash ${when} write ${call}`).toEqual(expected);
      expect(new Set(effects)).toEqual(new Set(["a", "b", "c"].map((id) => effectKey(run.runId, id))));
    }
  }
});

/** Parallel results are stored as they come, so their order is not part of the transcript. */
const sorted = (transcript: unknown[]) => transcript.map((message) => JSON.stringify(message)).sort();

test("an answer that is too long to be stored fails the run instead of growing on", async () => {
  const piece = "x".repeat(100_000);
  const { run, deps } = agentWorld([says(...Array<string>(6).fill(piece))]);
  expect(await runAgent(deps, run.journal())).toMatchObject({
    code: "model_stream_failed",
    message: expect.stringContaining("500000"),
  });
});

test("R3 a begun call of a tool that may not be repeated is answered as interrupted, after its processes are killed", async () => {
  const { run, deps, effects, killed } = agentWorld([calls("", ["a", "Do", { text: "x" }]), says("ok")]);
  // Writes: modelCallStarted, modelCallFinished, log, toolStarted.
  await expect(runAgent(deps, run.journal({ call: 4, when: "after" }))).rejects.toThrow(Crash);
  expect(await runAgent(deps, run.journal())).toEqual({ type: "completed" });
  expect(effects).toEqual([]);
  expect(killed).toEqual([effectKey(run.runId, "a")]);
  expect(run.calls[0]!.result).toMatchObject({
    output: { type: "error-text", value: expect.stringContaining("outcome is unknown") },
    failure: { code: "tool_interrupted" },
  });
});

test("R3 a begun call of a safe tool is repeated under the same key, after its processes are killed", async () => {
  const { run, deps, effects, killed } = agentWorld([calls("", ["a", "Look", { text: "x" }]), says("ok")]);
  await expect(runAgent(deps, run.journal({ call: 5, when: "before" }))).rejects.toThrow(Crash);
  expect(await runAgent(deps, run.journal())).toEqual({ type: "completed" });
  const key = effectKey(run.runId, "a");
  expect({ effects, killed }).toEqual({ effects: [key, key], killed: [key] });
  expect(run.calls[0]!.result?.output).toEqual(textOutput("did x"));
});

test("R4 a fenced-off attempt ends as aborted, changes nothing and kills nothing", async () => {
  const { run, deps, killed, effects } = agentWorld(LONG_SCRIPT);
  const old = run.journal();
  run.journal();
  expect(await runAgent(deps, old)).toEqual({ type: "aborted" });
  expect({ writes: run.writes, effects, killed }).toEqual({ writes: [], effects: [], killed: [] });
});

test("R4 an attempt that is fenced off while tools run stops them all at once and kills nothing", async () => {
  const { run, deps, killed } = agentWorld([calls("", ["a", "Look", { text: "x" }], ["b", "Hang", {}])]);
  // Writes: modelCallStarted, modelCallFinished, log, toolStarted, toolStarted.
  const fenced = afterWrite(run.journal(), 5, () => run.journal());
  expect(await runAgent(deps, fenced)).toEqual({ type: "aborted" });
  expect(killed).toEqual([]);
  expect(run.writes).not.toContain("toolFinished");
});

test.for([
  ["fail", "it went wrong", "tool_execution_failed"],
  ["fault", "a.txt does not exist", "tool_execution_failed"],
  ["bug", "the tool failed unexpectedly", "tool_execution_failed"],
] as const)("a tool that throws (%s) tells the model and the run goes on", async ([text, value, code]) => {
  const { run, deps } = agentWorld([calls("", ["a", "Do", { text }]), says("I see.")]);
  expect(await runAgent(deps, run.journal())).toEqual({ type: "completed" });
  expect(run.calls[0]!.result).toMatchObject({ output: { type: "error-text", value }, failure: { code } });
});

test.for([
  {
    why: "an unknown tool",
    call: ["a", "Nope", {}],
    code: "tool_execution_failed",
    message: 'there is no tool "Nope"',
  },
  {
    why: "input that is not JSON",
    call: ["a", "Do", '{"text":'],
    code: "tool_execution_failed",
    message: "not a valid JSON object",
  },
  { why: "input the schema refuses", call: ["a", "Do", { text: 7 }], code: "tool_execution_failed", message: "text: " },
  {
    why: "another agent's tool",
    call: ["a", "Other", { text: "x" }],
    code: "tool_not_available_for_agent",
    message: "tester",
  },
] as const)("$why fails the call, not the run", async ({ call, code, message }) => {
  const { run, deps, effects } = agentWorld([calls("", [...call]), says("sorry")]);
  expect(await runAgent(deps, run.journal())).toEqual({ type: "completed" });
  expect(run.calls[0]!.result?.failure).toEqual({ code, message: expect.stringContaining(message) });
  expect(effects).toEqual([]);
});

test.for([
  [true, 2],
  [false, 1],
] as const)("with parallelToolCalls %s, %i of two calls run at a time", async ([parallelToolCalls, most]) => {
  const { run, deps, running } = agentWorld(LONG_SCRIPT, { parallelToolCalls });
  await runAgent(deps, run.journal());
  expect(running.most).toBe(most);
});

test("a tool that outlives its time is killed, the model is told and the run goes on", async () => {
  const { run, deps, killed } = agentWorld([calls("", ["a", "Hang", {}]), says("too slow")], {
    toolTimeoutSeconds: 0.01,
  });
  expect(await runAgent(deps, run.journal())).toEqual({ type: "completed" });
  expect(run.calls[0]!.result?.failure).toEqual({
    code: "tool_timed_out",
    message: "the tool was stopped after 10 ms",
  });
  expect(killed).toEqual([effectKey(run.runId, "a")]);
});

test("a run fails when the model does not finish within the agent's steps", async () => {
  const { run, deps, effects } = agentWorld(LONG_SCRIPT, { maxSteps: 1 });
  expect(await runAgent(deps, run.journal())).toMatchObject({ type: "failed", code: "model_max_steps_exhausted" });
  expect(effects).toHaveLength(3);
});

test.for([
  [new ModelError("slow down", 429), "slow down (HTTP status 429)"],
  [new ModelError("no route", null), "no route"],
] as const)("a model that fails (%s) fails the run with its message", async ([error, message]) => {
  const { run, deps } = agentWorld([
    async function* () {
      yield { type: "text", delta: "half" };
      throw error;
    },
  ]);
  expect(await runAgent(deps, run.journal())).toEqual({ type: "failed", code: "model_stream_failed", message });
  expect(run.failures).toEqual([{ message: error.message, status: error.status }]);
});

test("an answer without an end is a failure, not an answer", async () => {
  const { run, deps } = agentWorld([() => [{ type: "text", delta: "half" }]]);
  expect(await runAgent(deps, run.journal())).toMatchObject({ type: "failed", code: "model_stream_failed" });
});

test("malformed input from the model is shown to it as a failed call", async () => {
  const bad = { type: "bad-tool-call", toolCallId: "a", toolName: "Do", input: '{"text', message: "no JSON" } as const;
  const { run, deps } = agentWorld([() => [bad, { type: "finish", reason: "tool-calls", usage: {} }], says("again")]);
  expect(await runAgent(deps, run.journal())).toEqual({ type: "completed" });
  expect(run.calls[0]).toMatchObject({
    call: { input: '{"text' },
    result: { failure: { code: "tool_execution_failed" } },
  });
});

test("R3 call ids that a provider uses twice are told apart", async () => {
  const { run, deps, effects } = agentWorld([
    calls("", ["call_0", "Do", { text: "1" }], ["call_0", "Do", { text: "2" }]),
    calls("", ["call_0", "Do", { text: "3" }]),
    says("ok"),
  ]);
  expect(await runAgent(deps, run.journal())).toEqual({ type: "completed" });
  expect(new Set(effects).size).toBe(3);
});
