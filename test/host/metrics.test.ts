import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentMetrics, type MetricPoint, type MetricTier } from "#protocol/host-agent";
import { ticksOf } from "#scripts/lib/processor-time";
import { isRoot, processesWith, TestAgent, type TestSandbox, until } from "#test/node/agent";
import { EVERY_WAY } from "#test/node/agent-ways";

const MIB = 1024 * 1024;

async function metrics({ agent, id, gen }: TestSandbox, tier: string, act = "use") {
  const answer = await agent.call("GET", `/v1/sandboxes/${id}/metrics?tier=${tier}`, { sandbox: id, gen, act });
  return { status: answer.status, body: await answer.json() };
}

const tiersOf = async (sandbox: TestSandbox, tier = "all") =>
  AgentMetrics.parse((await metrics(sandbox, tier)).body).tiers as Record<MetricTier, MetricPoint[]>;

const points = async (sandbox: TestSandbox) => (await tiersOf(sandbox, "10m"))["10m"];

const toggle = ({ agent, id, gen }: TestSandbox, verb: string) =>
  agent.call("POST", `/v1/sandboxes/${id}/${verb}`, { sandbox: id, gen, act: "lifecycle" });

/** Waits for points that were taken from now on. */
async function fresh(sandbox: TestSandbox, count = 3): Promise<MetricPoint[]> {
  const since = Date.now();
  const later = async () => (await points(sandbox)).filter(({ atMs }) => atMs > since + 500);
  await until("there are new points", async () => (await later()).length >= count);
  return later();
}

const mean = (all: MetricPoint[], field: keyof MetricPoint) =>
  all.reduce((sum, each) => sum + each[field], 0) / all.length;

describe.each(EVERY_WAY)("metrics %s", (name, options) => {
  let agent: TestAgent;
  let sandbox: TestSandbox;

  beforeAll(async () => {
    agent = await TestAgent.start(options);
    sandbox = await agent.sandbox("sb_1", { vcpus: 2, memoryMb: 512 });
  });
  afterAll(() => agent?.stop());

  test("a busy loop on one of two processors reads about 50 percent, an idle sandbox about none (R268)", async () => {
    expect(mean(await fresh(sandbox), "cpuPct")).toBeLessThan(10);
    const word = `busy-${Math.random()}`;
    const busy = sandbox.exec(["sh", "-c", "while :; do :; done", word], { execId: "busy" });
    await until("it runs", () => processesWith(`\0${word}\0`).length === 1);
    const [pid] = processesWith(`\0${word}\0`);
    const [begin, from] = [performance.now(), ticksOf(pid!)];
    const measured = mean(await fresh(sandbox, 6), "cpuPct");
    // Others may use this machine as well, so what it got of one processor is asked of the kernel itself.
    const share = ((ticksOf(pid!) - from) * 10) / (performance.now() - begin);
    await sandbox.call("DELETE", "/exec/busy");
    await busy;
    expect(Math.abs(measured - share * 50)).toBeLessThan(12);
    expect(measured).toBeLessThan(56);
  });

  test("resident memory grows with what is used, and shrinks again (R269)", async () => {
    const before = mean(await fresh(sandbox), "memBytes");
    expect(before).toBeGreaterThan(10 * MIB);
    const node = isRoot && name !== "without isolation" ? "/opt/longshore/node" : process.execPath;
    const script = `const b = Buffer.alloc(${150 * MIB}, 1); setTimeout(() => b.length, 60000)`;
    const eating = sandbox.exec([node, "-e", script], { execId: "eat" });
    await until("memory has grown", async () => (await points(sandbox)).at(-1)!.memBytes > before + 140 * MIB);
    await sandbox.call("DELETE", "/exec/eat");
    await eating;
    await until("it is given back", async () => (await points(sandbox)).at(-1)!.memBytes < before + 30 * MIB);
  });

  test("the space of the files a sandbox starts with is known at once (R269)", async () => {
    const first = await agent.sandbox("sb_disk");
    await first.exec(`head -c ${20 * MIB} /dev/urandom >big`);
    await agent.call("DELETE", "/v1/sandboxes/sb_disk", { sandbox: "sb_disk", act: "lifecycle" });
    const second = await agent.sandbox("sb_disk", {}, 2);
    await until("it is known", async () => ((await points(second)).at(-1)?.diskBytes ?? 0) >= 20 * MIB);
    expect((await points(second)).at(-1)!.diskBytes).toBeLessThan(22 * MIB);
  });

  test("every 500 ms a point, and the longer tiers have the average of the time that goes on (R267)", async () => {
    const all = await fresh(sandbox, 6);
    const gaps = all.slice(1).map(({ atMs }, index) => atMs - all[index]!.atMs);
    expect(gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length).toBeCloseTo(500, -2);
    const tiers = await tiersOf(sandbox);
    expect(Object.keys(tiers)).toEqual(["10m", "2h", "24h"]);
    for (const [tier, stepMs] of [
      ["2h", 30_000],
      ["24h", 300_000],
    ] as const) {
      expect(tiers[tier].length).toBeGreaterThan(0);
      for (const { atMs } of tiers[tier]) expect(atMs % stepMs).toBe(0);
    }
    expect(Object.keys(await tiersOf(sandbox, "2h"))).toEqual(["2h"]);
  });

  test("a paused sandbox still shows its points, gets none meanwhile, and no leap after it (R271)", async () => {
    const before = await fresh(sandbox);
    await toggle(sandbox, "freeze");
    const frozenAt = Date.now();
    await until("time has passed", () => Date.now() > frozenAt + 1600);
    const paused = await points(sandbox);
    expect(paused).toEqual(expect.arrayContaining(before.slice(-2)));
    expect(paused.at(-1)!.atMs).toBeLessThanOrEqual(frozenAt);
    await toggle(sandbox, "thaw");
    const thawedAt = Date.now();
    const after = (await fresh(sandbox)).find(({ atMs }) => atMs > thawedAt)!;
    expect(after.cpuPct).toBeLessThan(40);
    expect((await points(sandbox)).filter(({ atMs }) => atMs > frozenAt && atMs < thawedAt)).toEqual([]);
  });

  test("either token reads them; a foreign tier is refused, and a sandbox that does not run has none", async () => {
    for (const act of ["use", "lifecycle"]) expect((await metrics(sandbox, "all", act)).status).toBe(200);
    expect((await metrics(sandbox, "1y")).status).toBe(400);
    const gone = await agent.sandbox("sb_gone");
    await agent.call("DELETE", "/v1/sandboxes/sb_gone", { sandbox: "sb_gone", act: "lifecycle" });
    expect(await metrics(gone, "all")).toMatchObject({ status: 409, body: { error: { code: "sandbox_not_running" } } });
  });
});
