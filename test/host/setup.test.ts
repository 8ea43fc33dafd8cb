import { describe, expect, test } from "vitest";
import { AgentHealth, type AgentSandbox, type SandboxSetup, USUAL_START } from "#protocol/host-agent";
import { ProcessList } from "#protocol/supervisor";
import { TestAgent, TestSandbox, until } from "#test/node/agent";
import { ISOLATED_AND_PLAIN } from "#test/node/agent-ways";
import { ProcessStream } from "#test/node/process-stream";

async function start(agent: TestAgent, setup: SandboxSetup, gen = 1, id = "sb_1"): Promise<TestSandbox> {
  const body = JSON.stringify({ ...USUAL_START, setup });
  const answer = await agent.call("PUT", `/v1/sandboxes/${id}`, { sandbox: id, act: "lifecycle", gen, body });
  if (answer.status !== 200) throw new Error(await answer.text());
  return new TestSandbox(agent, id, gen, (await answer.json()) as AgentSandbox);
}

const turn = (agent: TestAgent, verb: "freeze" | "thaw", gen: number) =>
  agent.call("POST", `/v1/sandboxes/sb_1/${verb}`, { act: "lifecycle", gen });
const tagsOf = async (sandbox: TestSandbox) =>
  ProcessList.parse((await sandbox.json("GET", "/processes")).body).processes.map(({ tag }) => tag);
const boots = async (sandbox: TestSandbox) => (await sandbox.exec("cat boots")).stdout;

const COUNT = { command: 'echo "$GREETING" >>boots; exec sleep 600' };

describe.each(ISOLATED_AND_PLAIN)("what a template leaves %s", (_, way) => {
  test("its variables reach every way in, and a request's own go before (R419)", async () => {
    const agent = await TestAgent.start(way);
    const sandbox = await start(agent, { env: { GREETING: "hello", OTHER: "theirs" }, start: [] });
    const command = 'printf "%s %s" "$GREETING" "$OTHER"';
    expect((await sandbox.exec(command, { env: { OTHER: "mine" } })).stdout).toBe("hello mine");
    for (const [tag, more] of [
      ["piped", {}],
      ["terminal", { tty: { cols: 80, rows: 24 } }],
    ] as const) {
      await sandbox.json("POST", "/processes", { tag, command, env: { OTHER: "mine" }, ...more });
      const stream = await (await ProcessStream.attach(sandbox, tag)).whole();
      expect(stream.text()).toContain("hello mine");
    }
    await agent.stop();
  });

  test("its commands run once after each boot, not after a thaw, and are listed (R196, R419)", async () => {
    const agent = await TestAgent.start(way);
    const setup = { env: { GREETING: "hello" }, start: [COUNT, { command: "exec sleep 601" }] };
    const first = await start(agent, setup);
    expect(await tagsOf(first)).toEqual(["start-1", "start-2"]);
    await until("it has run", async () => (await boots(first)) === "hello\n");
    await turn(agent, "freeze", 1);
    await turn(agent, "thaw", 1);
    expect(await tagsOf(await start(agent, setup))).toEqual(["start-1", "start-2"]);
    expect(await boots(first)).toBe("hello\n");
    const second = await start(agent, setup, 2);
    await until("it has run again", async () => (await boots(second)) === "hello\nhello\n");
    await agent.stop();
  });

  test("a command that fails is logged, and the boot and those after it are fine (R419)", async () => {
    const agent = await TestAgent.start(way);
    const start3 = [{ command: "exit 3" }, { command: "true", cwd: "nowhere" }, { command: "exec sleep 600" }];
    const sandbox = await start(agent, { env: {}, start: start3 });
    expect(sandbox.started.status).toBe("running");
    expect(await tagsOf(sandbox)).toContain("start-3");
    const told = (tag: string, why: string) =>
      agent.output.some((line) => line.includes(`"tag":"${tag}"`) && line.includes(why));
    await until("both are logged", () => told("start-1", "exit code 3") && told("start-2", "does not exist"));
    expect(told("start-3", "")).toBe(false);
    await agent.stop();
  });

  test("a spare is told afterwards, and the next one knows nothing of it (R419)", async () => {
    const agent = await TestAgent.start({ bundled: true, warm: 2, ...way });
    const health = async () => AgentHealth.parse(await (await agent.call("GET", "/v1/health", { token: "" })).json());
    const spares = async () => (await health()).warm.ready;
    await until("there are spares", async () => (await spares()) === 2);
    const sandbox = await start(agent, { env: { GREETING: "hello" }, start: [COUNT] });
    expect(sandbox.started.warm).toBe(true);
    expect(await tagsOf(sandbox)).toEqual(["start-1"]);
    expect((await sandbox.exec("echo $GREETING")).stdout).toBe("hello\n");
    const other = await agent.sandbox("sb_2", USUAL_START.limits);
    expect(other.started.warm).toBe(true);
    expect([(await other.exec("echo $GREETING")).stdout, await tagsOf(other)]).toEqual(["\n", []]);
    await agent.stop();
  });
});
