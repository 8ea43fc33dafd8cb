import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentHealth, type AgentSandbox } from "#protocol/host-agent";
import { Cgroups } from "#sandbox/host-agent/isolation/cgroups";
import { ticksOf } from "#scripts/lib/processor-time";
import { isRoot, LIMITS, processesWith, TestAgent, type TestSandbox, until } from "#test/node/agent";
import { EVERY_WAY } from "#test/node/agent-ways";
import { FakeControlPlane } from "#test/node/control-plane";

const mark = () => `freeze-${Math.random().toString(36).slice(2)}`;

async function pause(sandbox: TestSandbox, verb: "freeze" | "thaw", gen = sandbox.gen) {
  const { agent, id } = sandbox;
  const answer = await agent.call("POST", `/v1/sandboxes/${id}/${verb}`, { sandbox: id, act: "lifecycle", gen });
  return { status: answer.status, body: (await answer.json()) as AgentSandbox & { error: { code: string } } };
}

const end = ({ agent, id, gen }: TestSandbox, files = "keep") =>
  agent.call("DELETE", `/v1/sandboxes/${id}?files=${files}`, { sandbox: id, act: "lifecycle", gen });

const fileOf = ({ agent, id }: TestSandbox, name: string) => join(agent.folder, "state/sandboxes", id, name);

/** Starts a command that counts in a variable of a shell, without end, and writes down each number. */
async function count(sandbox: TestSandbox, name: string): Promise<void> {
  const script = `i=0; while :; do i=$((i+1)); echo $i >${name}; done`;
  sandbox.exec(["sh", "-c", script, name]).catch(() => "it ends with its sandbox");
  await until("it counts", () => existsSync(fileOf(sandbox, name)));
}

describe.each(EVERY_WAY)("freezing %s", (name, options) => {
  let agent: TestAgent;
  const byKernel = isRoot && name === "in bubblewrap";

  beforeAll(async () => {
    agent = await TestAgent.start(options);
  });
  afterAll(() => agent?.stop());

  test("it says how it freezes", async () => {
    const health = AgentHealth.parse(await (await agent.call("GET", "/v1/health", { token: "" })).json());
    expect(health).toMatchObject({ freezes: byKernel ? "kernel" : "signals" });
    expect(agent.control.heard("/register")[0]?.body.capabilities).toMatchObject({ freezes: health.freezes });
    expect(agent.ready.unenforced.some((text) => text.startsWith("freezing"))).toBe(!byKernel);
  });

  test("nothing runs within 100 ms, memory is kept, and it goes on where it stopped", async () => {
    const sandbox = await agent.sandbox("sb_count");
    const word = mark();
    await count(sandbox, word);
    const [pid] = processesWith(`\0${word}\0`);
    const delays: number[] = [];
    for (let cycle = 0; cycle < 5; cycle++) {
      if (cycle > 0) await pause(sandbox, "thaw");
      const askedAt = Date.now();
      expect(await pause(sandbox, "freeze")).toMatchObject({ status: 200, body: { status: "paused", generation: 1 } });
      const answeredAt = Date.now();
      await sleep(30);
      const { mtimeMs } = statSync(fileOf(sandbox, word));
      expect(mtimeMs).toBeLessThanOrEqual(answeredAt);
      delays.push(mtimeMs - askedAt);
    }
    // The fastest, since a busy machine also delays the call itself.
    expect(Math.min(...delays)).toBeLessThan(100);
    const [ticks, number] = [ticksOf(pid!), readFileSync(fileOf(sandbox, word), "utf8")];
    await sleep(500);
    expect([ticksOf(pid!), readFileSync(fileOf(sandbox, word), "utf8")]).toEqual([ticks, number]);
    expect(await pause(sandbox, "thaw")).toMatchObject({ status: 200, body: { status: "running" } });
    await until("it counts on", () => Number(readFileSync(fileOf(sandbox, word), "utf8")) > Number(number));
    expect(processesWith(`\0${word}\0`)).toEqual([pid]);
    await end(sandbox);
  });

  test("a paused sandbox refuses calls, says so, and both verbs can be repeated", async () => {
    const sandbox = await agent.sandbox("sb_calls");
    for (const _ of [1, 2]) expect((await pause(sandbox, "freeze")).body.status).toBe("paused");
    const refused = await sandbox.call("POST", "/exec", JSON.stringify({ execId: "no", command: "true" }));
    expect([refused.status, await refused.json()]).toMatchObject([409, { error: { code: "sandbox_paused" } }]);
    const shown = await agent.call("GET", "/v1/sandboxes/sb_calls", { sandbox: "sb_calls" });
    expect(await shown.json()).toMatchObject({ status: "paused", generation: 1 });
    expect((await agent.sandbox("sb_calls")).started.status).toBe("paused");
    for (const _ of [1, 2]) expect((await pause(sandbox, "thaw")).body.status).toBe("running");
    expect((await sandbox.exec("echo back")).stdout).toBe("back\n");
    await end(sandbox);
  });

  test("a command in flight goes on; the time it stood still counts towards its limit", async () => {
    const sandbox = await agent.sandbox("sb_flight");
    const command = "touch one; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $i";
    const [lasting, limited] = [
      sandbox.exec(command, { timeoutMs: 30_000 }),
      sandbox.exec("touch two; sleep 60", { timeoutMs: 1000 }),
    ];
    const limitAt = performance.now() + 1100;
    await until("both run", () => ["one", "two"].every((file) => existsSync(fileOf(sandbox, file))));
    await pause(sandbox, "freeze");
    await until("the limit has passed", () => performance.now() > limitAt);
    await pause(sandbox, "thaw");
    expect(await limited).toMatchObject({ timedOut: true, exitCode: 137 });
    expect(await lasting).toMatchObject({ stdout: "200000\n", timedOut: false });
    await end(sandbox);
  });

  test("a paused sandbox can be stopped, replaced and wiped; nothing of it stays behind", async () => {
    const first = await agent.sandbox("sb_end");
    const word = mark();
    await first.write("kept", "here");
    await count(first, word);
    await pause(first, "freeze");
    expect((await end(first)).status).toBe(204);
    expect(processesWith(`\0${word}\0`)).toEqual([]);
    const second = await agent.sandbox("sb_end", {}, 2);
    await count(second, word);
    await pause(second, "freeze");
    const third = await agent.sandbox("sb_end", {}, 3);
    expect(third.started.status).toBe("running");
    expect((await third.exec("cat kept")).stdout).toBe("here");
    expect(processesWith(`\0${word}\0`)).toEqual([]);
    await pause(third, "freeze");
    expect((await end(third, "wipe")).status).toBe(204);
    expect(existsSync(fileOf(third, "kept"))).toBe(false);
  });

  test("H2, H5: only the current generation and a token for the lifecycle may freeze", async () => {
    const sandbox = await agent.sandbox("sb_fence", {}, 4);
    expect(await pause(sandbox, "freeze", 3)).toMatchObject({
      status: 409,
      body: { error: { code: "stale_generation" } },
    });
    expect(await pause(sandbox, "freeze", 5)).toMatchObject({
      status: 409,
      body: { error: { code: "sandbox_not_running" } },
    });
    for (const verb of ["freeze", "thaw"]) {
      const use = await agent.call("POST", `/v1/sandboxes/sb_fence/${verb}`, {
        sandbox: "sb_fence",
        gen: 4,
        act: "use",
      });
      expect(use.status).toBe(401);
      const get = await agent.call("GET", `/v1/sandboxes/sb_fence/${verb}`, { sandbox: "sb_fence", gen: 4 });
      expect(get.status).toBe(400);
    }
    expect((await sandbox.exec("echo runs")).stdout).toBe("runs\n");
    await end(sandbox);
  });

  test("ten times frozen and thawed, a writer loses nothing", async () => {
    const sandbox = await agent.sandbox("sb_writer");
    const script = `
      mkdir -p files; n=0
      while [ ! -e enough ]; do
        n=$((n+1)); head -c 20000 /dev/urandom >files/$n; (cd files && sha256sum $n) >>manifest
      done; echo $n >count`;
    const writer = sandbox.exec(script);
    const lines = async () => Number((await sandbox.exec("cat manifest 2>/dev/null | wc -l")).stdout);
    for (let cycle = 0; cycle < 10; cycle++) {
      const before = await lines();
      await until("it writes", async () => (await lines()) > before);
      await pause(sandbox, "freeze");
      await sleep(30);
      await pause(sandbox, "thaw");
    }
    await sandbox.exec("touch enough");
    expect((await writer).exitCode).toBe(0);
    const count = Number((await sandbox.exec("cat count")).stdout);
    const check = await sandbox.exec("cd files && sha256sum --quiet -c ../manifest && ls | wc -l");
    expect(check).toMatchObject({ stdout: `${count}\n`, stderr: "", exitCode: 0 });
    expect(await lines()).toBe(count);
    await end(sandbox, "wipe");
  });
});

test.runIf(isRoot)("H1: an agent that is killed leaves no frozen process to the next one", async () => {
  const control = await FakeControlPlane.start();
  const first = await TestAgent.start({ control });
  const sandbox = await first.sandbox("sb_frozen");
  const word = mark();
  await count(sandbox, word);
  await pause(sandbox, "freeze");
  first.process.kill("SIGKILL");
  await first.exited;
  const next = await TestAgent.start({ control, folder: first.folder });
  expect(processesWith(`\0${word}\0`)).toEqual([]);
  const shown = await next.call("GET", "/v1/sandboxes/sb_frozen", { sandbox: "sb_frozen" });
  expect(await shown.json()).toMatchObject({ status: "stopped" });
  const again = await next.sandbox("sb_frozen", LIMITS, 2);
  expect((await again.exec(["ls"])).stdout).toBe(`${word}\n`);
  await pause(again, "freeze");
  await next.stop();
  expect(await next.exited).toBe(0);
});

/** Version 2 of control groups is mounted beside version 1 on many machines, without its limits. */
const UNIFIED = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].find((path) =>
  existsSync(join(path, "cgroup.controllers")),
);

test.runIf(isRoot && UNIFIED)("control groups of version 2 freeze, thaw, count and kill as well", async () => {
  const groups = Cgroups.detect("test", UNIFIED);
  expect(groups.can("freezer")).toBe(true);
  const busy = spawn("sh", ["-c", "while :; do :; done"], { stdio: "ignore" });
  const exited = new Promise((resolve) => busy.once("exit", (_, signal) => resolve(signal)));
  const group = groups.create("sb_two", LIMITS);
  await group.add(busy.pid!);
  await group.freeze();
  const ticks = ticksOf(busy.pid!);
  await sleep(200);
  expect(ticksOf(busy.pid!)).toBe(ticks);
  group.thaw();
  await until("it runs again", () => ticksOf(busy.pid!) !== ticks);
  await group.freeze();
  group.kill();
  expect(await exited).toBe("SIGKILL");
  await group.remove();
  await groups.close();
  expect(execFileSync("find", [UNIFIED!, "-name", "sb_two"], { encoding: "utf8" })).toBe("");
});
