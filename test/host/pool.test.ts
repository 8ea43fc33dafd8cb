import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { AgentHealth, USUAL_START } from "#protocol/host-agent";
import { type AgentOptions, processesWith, TestAgent, type TestSandbox, until } from "#test/node/agent";
import { ISOLATED_AND_PLAIN } from "#test/node/agent-ways";
import { FakeControlPlane } from "#test/node/control-plane";

const WARM = 2;
const USUAL = USUAL_START.limits;

async function warmOf(agent: TestAgent) {
  return AgentHealth.parse(await (await agent.call("GET", "/v1/health", { token: "" })).json()).warm;
}
const filled = (agent: TestAgent, count = WARM) =>
  until(`${count} spares`, async () => (await warmOf(agent)).ready === count);

/** Names of what lies in the agent's folders for workspaces and disks, without images that are ready for any. */
const places = ({ folder }: TestAgent) =>
  ["sandboxes", "disks"].flatMap((one) => {
    const path = join(folder, "state", one);
    return existsSync(path) ? readdirSync(path).filter((name) => !name.startsWith(".spare-")) : [];
  });

const start = async (options: AgentOptions = {}) => {
  const started = await TestAgent.start({ bundled: true, warm: WARM, ...options });
  await filled(started);
  return started;
};

describe.each(ISOLATED_AND_PLAIN)("%s", (_, way) => {
  test("new sandboxes are spares, each another one that nobody used, and more are made", async () => {
    const agent = await start(way);
    const taken: TestSandbox[] = [];
    for (let n = 1; n <= 5; n++) {
      await filled(agent);
      const sandbox = await agent.sandbox(`sb_${n}`, USUAL);
      expect(sandbox.started).toMatchObject({ id: `sb_${n}`, generation: 1, status: "running", warm: true });
      expect((await sandbox.exec("ls -A; cat mine 2>/dev/null")).stdout).toBe("");
      await sandbox.exec(`echo ${n} >mine`);
      taken.push(sandbox);
    }
    for (const [index, sandbox] of taken.entries()) {
      expect((await sandbox.exec("cat mine")).stdout).toBe(`${index + 1}\n`);
    }
    const health = await (await agent.call("GET", "/v1/health", { token: "" })).json();
    expect(health).toMatchObject({ sandboxes: 5, warm: { taken: 5, missed: 0 } });
    await agent.stop();
  });

  test("a sandbox that was a spare keeps its files from one start to the next, and leaves none when wiped", async () => {
    const agent = await start(way);
    const first = await agent.sandbox("sb_1", USUAL);
    await first.exec("echo kept >mine");
    await agent.call("DELETE", "/v1/sandboxes/sb_1?files=keep", { act: "lifecycle", gen: 2 });
    const again = await agent.sandbox("sb_1", USUAL, 3);
    expect(again.started).toMatchObject({ warm: false, generation: 3 });
    expect((await again.exec("cat mine")).stdout).toBe("kept\n");
    await filled(agent);
    const before = places(agent).length;
    await agent.call("DELETE", "/v1/sandboxes/sb_1?files=wipe", { act: "lifecycle", gen: 4 });
    expect(places(agent).length).toBeLessThan(before);
    // What was wiped is never started from a spare: only what is new is.
    const renewed = await agent.sandbox("sb_1", USUAL, 5);
    expect(renewed.started.warm).toBe(false);
    expect((await renewed.exec("ls -A")).stdout).toBe("");
    await agent.stop();
  });
});

test("what a spare was kept from is logged under the sandbox that it became", async () => {
  const agent = await start();
  for (const id of ["sb_1", "sb_2"]) await agent.sandbox(id, USUAL, 1, { allow: ["example.com"] });
  await filled(agent, 2 * WARM);
  const third = await agent.sandbox("sb_3", USUAL, 1, { allow: ["example.com"] });
  expect(third.started).toMatchObject({
    warm: true,
    machine: { isolation: expect.stringMatching(/^bubblewrap \d+\./) },
  });
  await third.exec(["/opt/longshore/node", "-e", `fetch("http://elsewhere.test").catch(() => {})`]);
  // What the self-test of the agent was kept from is there too.
  const refusals = () => agent.output.filter((line) => line.includes("kept from") && line.includes("elsewhere.test"));
  await until("a refusal", () => refusals().length > 0);
  expect(refusals().map((line) => JSON.parse(line))).toMatchObject([{ sandbox: "sb_3", port: 80 }]);
  await agent.stop();
});

test("a start of another kind boots, and from the second of its kind on there are spares for it", async () => {
  const agent = await start();
  const small = { ...USUAL, memoryMb: 128 };
  expect((await agent.sandbox("sb_1", small)).started.warm).toBe(false);
  expect((await agent.sandbox("sb_2", small)).started.warm).toBe(false);
  await filled(agent, 2 * WARM);
  const third = await agent.sandbox("sb_3", small);
  expect(third.started.warm).toBe(true);
  // Its limits are those that were asked for: this does not fit into 128 MiB beside the supervisor.
  expect((await third.exec(["/opt/longshore/node", "-e", "Buffer.alloc(120e6).fill(1)"])).exitCode).not.toBe(0);
  expect((await agent.sandbox("sb_4", USUAL)).started.warm).toBe(true);
  expect(await warmOf(agent)).toMatchObject({ taken: 2, missed: 2 });
  await agent.stop();
});

test("with 0 there are none, and a spare that dies is replaced without anybody's start failing", async () => {
  const none = await TestAgent.start({ bundled: true, warm: 0 });
  expect((await none.sandbox("sb_1", USUAL)).started.warm).toBe(false);
  expect(await warmOf(none)).toEqual({ ready: 0, taken: 0, missed: 0 });
  await none.stop();

  const agent = await start();
  const supervisors = childrenOf(agent.process.pid ?? 0);
  expect(supervisors).toHaveLength(WARM);
  for (const pid of supervisors) process.kill(pid, "SIGKILL");
  await filled(agent, 0);
  expect((await agent.sandbox("sb_1", USUAL)).started.status).toBe("running");
  await filled(agent);
  await agent.stop();
});

test("an agent that ends leaves no spare, and one that is killed leaves none to its successor", async () => {
  const control = await FakeControlPlane.start();
  const killed = await start({ control });
  const { folder } = killed;
  const sandbox = await killed.sandbox("sb_1", USUAL);
  await sandbox.exec("echo kept >mine");
  await filled(killed);
  killed.process.kill("SIGKILL");
  await killed.exited;
  const next = await TestAgent.start({ control, folder, bundled: true, warm: 0 });
  // The one place that is left is that of the sandbox which was a spare once.
  const left = new Set(places(next).map((name) => name.replace(".ext4", "")));
  expect(left.size).toBe(1);
  const again = await next.sandbox("sb_1", USUAL, 2);
  expect((await again.exec("cat mine")).stdout).toBe("kept\n");
  next.process.kill("SIGTERM");
  await next.exited;
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(folder);

  const last = await start({ control, folder });
  expect(processesWith(join(folder, "state")).length).toBeGreaterThan(0);
  last.process.kill("SIGTERM");
  expect(await last.exited).toBe(0);
  expect(new Set(places(last).map((name) => name.replace(".ext4", "")))).toEqual(left);
  await control.close();
});

/** Children of a process that still run. */
function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}
