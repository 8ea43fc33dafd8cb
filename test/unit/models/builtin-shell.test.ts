import { expect, test } from "vitest";
import { listAgents } from "#domain/agent/agents";
import { runAgent } from "#domain/agent/run-agent";
import { builtinShell } from "#domain/model/builtin-shell";
import { shellScript } from "#domain/model/shell-script";
import { NATIVE_TOOLS } from "#domain/tool/tools";
import type { ExecRequest, ExecResult } from "#protocol/supervisor";
import { memoryLink } from "#test/node/fake-link";
import { MemoryRun } from "#test/node/memory-journal";

test.for([
  ["run\n```sh\necho a\necho b\n```\nand\n```bash\nls\n```", ["echo a\necho b", "ls"]],
  ["$ ls -l\n$   pwd  \n$not\n $ indented", ["ls -l", "pwd"]],
  ["```\nls\n```\n```python\nprint()\n$ ls\n```", []],
  ["```sh\necho open", ["echo open"]],
  ["~~~shell\n```\necho tilde\n~~~", ["```\necho tilde"]],
  ["````sh\necho '```'\n````", ["echo '```'"]],
  ["```sh\n\n```\n$ ", []],
  ["hello", []],
  ["```sh\r\necho crlf\r\n```\r\n$ ls\r\n", ["echo crlf", "ls"]],
] as const)("the commands of %j are %j", ([text, commands]) => {
  expect(shellScript(text).commands).toEqual(commands);
});

test("commands run together only when the prose asks for it", () => {
  expect(shellScript("In parallel please\n$ a\n$ b").parallel).toBe(true);
  expect(shellScript("```sh\necho in parallel\n```").parallel).toBe(false);
});

/** Runs the real loop over the shell rule; `exec` plays the sandbox. */
async function ask(
  text: string,
  agentName: "assistant" | "builder",
  exec?: (request: ExecRequest) => Partial<ExecResult>,
) {
  const run = new MemoryRun([{ role: "user", content: text, runId: "run_00000000000000000000_1", origin: "user" }]);
  const { link, commands } = memoryLink(new Map(), exec);
  const agent = listAgents().find(({ name }) => name === agentName)!;
  const { signal } = new AbortController();
  const deps = { agent, model: builtinShell, tools: NATIVE_TOOLS, link, signal, now: () => 0 };
  expect(await runAgent(deps, run.journal())).toEqual({ type: "completed" });
  const pieces = run.writes.filter((write) => write === "delta").length;
  return {
    commands,
    pieces,
    calls: run.modelCalls.map(({ toolCalls }) => toolCalls.length),
    answer: run.modelCalls.at(-1)!.text,
  };
}

test("commands run one after another, and the answer has their exit codes and output", async () => {
  const { commands, calls, answer, pieces } = await ask("```sh\necho hi\n```\n$ false", "builder", ({ command }) =>
    command === "false" ? { exitCode: 1 } : { stdout: "hi\n" },
  );
  expect(commands.map(({ command }) => command)).toEqual(["echo hi", "false"]);
  expect(new Set(commands.map(({ execId }) => execId)).size).toBe(2);
  expect(calls).toEqual([1, 1, 0]);
  expect(answer).toBe("`echo hi`: exit code 0\n```\nhi\n```\n\n`false`: exit code 1");
  expect(pieces).toBeGreaterThan(1);
});

test("commands asked for in parallel are one answer's calls", async () => {
  const { calls } = await ask("in parallel:\n$ a\n$ b\n$ c", "builder");
  expect(calls).toEqual([3, 0]);
});

test("a command that was killed is reported as not finished", async () => {
  const { answer } = await ask("$ sleep 999", "builder", () => ({ timedOut: true, exitCode: 137, signal: "SIGKILL" }));
  expect(answer).toContain("`sleep 999`: did not finish");
  expect(answer).toContain("killed after its");
});

test("output with a code fence stays inside the answer's own", async () => {
  const { answer } = await ask("$ cat a.md", "builder", () => ({ stdout: "```\nx\n```" }));
  expect(answer).toBe("`cat a.md`: exit code 0\n````\n```\nx\n```\n````");
});

test("without commands it says what it is and how to configure a model", async () => {
  const { answer, calls, pieces } = await ask("hello", "builder");
  expect(calls).toEqual([0]);
  expect(answer).toContain("set MODELS");
  expect(pieces).toBeGreaterThan(3);
});

test("an agent without Bash is told of the one that has it", async () => {
  const { answer, commands } = await ask("$ ls", "assistant");
  expect(commands).toEqual([]);
  expect(answer).toContain('agent "builder"');
});
