import { expect, test } from "vitest";
import { fleetRows, measureFleet } from "#scripts/bench/fleet";
import { isRoot, TestAgent, until } from "#test/node/agent";

const COUNT = 50;

test("50 sandboxes are alive at once, and sampling them costs less than 2 % of one processor", async () => {
  const agent = await TestAgent.start({ bundled: true });
  const id = (index: number) => `sb_${String(index).padStart(2, "0")}`;
  const figures = await measureFleet({
    agentPid: agent.process.pid!,
    start: async (index) => ({ id: id(index), bootMs: (await agent.sandbox(id(index))).started.bootMs ?? Number.NaN }),
    count: COUNT,
    watchMs: 10_000,
  });
  for (const { figure, value } of fleetRows(figures)) console.log(`${figure}: ${value}`);
  console.log(
    figures.sandboxes
      .map(({ id, pssMib, groupMib }) => `${id} ${pssMib.toFixed(1)} ${groupMib?.toFixed(1)}`)
      .join("\n"),
  );
  expect(figures.sandboxes).toHaveLength(COUNT);
  // Without control groups every process of the machine is read instead.
  if (isRoot) expect(figures.agentCpuPct).toBeLessThan(2);
  const alive = await Promise.all(
    Array.from({ length: COUNT }, async (_, index) => {
      const answer = await agent.call("GET", `/v1/sandboxes/${id(index)}/metrics`, { sandbox: id(index) });
      const { tiers } = (await answer.json()) as { tiers: { "10m": unknown[] } };
      return answer.status === 200 && tiers["10m"].length > 15;
    }),
  );
  expect(alive).toEqual(Array.from({ length: COUNT }, () => true));
  agent.process.kill("SIGTERM");
  await until("all of them have ended", () => agent.process.exitCode !== null, 60_000);
  expect(agent.process.exitCode).toBe(0);
  await agent.stop();
}, 180_000);
