import { globSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isRoot, processesWith, TestAgent, until } from "#test/node/agent";
import { FakeControlPlane } from "#test/node/control-plane";

const AGENTS = 6;
const LIVES = 9;
const BLOCK = 1000;

/** Processes that run as one of this agent's sandboxes, whatever they are. */
function processesOf(users: Set<number>): number[] {
  return readdirSync("/proc").flatMap((name) => {
    try {
      const status = readFileSync(`/proc/${name}/status`, "utf8");
      const user = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
      const isZombie = /^State:\s+Z/m.test(status);
      return users.has(Math.floor(user / BLOCK)) && !isZombie ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

const userOf = (pid: number) => Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);

/** Writes files again and again, each whole or not at all, together with their checksums. */
const WRITER = `n=0; while :; do n=$((n+1)); head -c 3000 /dev/urandom >new && mv new data$((n % 5)); (sha256sum data* >sums.new) && mv sums.new sums; done`;

/** Lets one agent be killed in the middle of commands, life after life; answers with how often. */
async function liveAndDie(): Promise<number> {
  const control = await FakeControlPlane.start();
  let agent = await TestAgent.start({ control, bundled: true });
  const { folder, ready } = agent;
  for (let life = 1; life <= LIVES; life++) {
    const sandbox = await agent.sandbox("sb_1", { diskMb: 64 }, life);
    const mark = `6${Math.floor(Math.random() * 1e6)}.5`;
    expect((await sandbox.exec("cat kept 2>/dev/null; echo life >>kept; sync kept")).stdout).toBe(
      "life\n".repeat(life - 1),
    );
    const lost = sandbox.exec(`setsid sleep ${mark} & (${WRITER}) & sleep ${mark}`).catch(() => "lost");
    await until("it runs", () => processesWith(`sleep\0${mark}`).length === 2);
    const block = new Set(processesWith(`sleep\0${mark}`).map((pid) => Math.floor(userOf(pid) / BLOCK)));
    agent.process.kill("SIGKILL");
    expect(await lost).toBe("lost");
    agent = await TestAgent.start({ control, folder, bundled: true });
    expect(agent.ready.address).toBe(ready.address);
    // Its successor has cleared up before it is ready: nothing by name, by user, or by group, and no mount.
    expect([processesWith(`sleep\0${mark}`), isRoot ? processesOf(block) : []]).toEqual([[], []]);
    expect(globSync(`/sys/fs/cgroup/{,*/}longshore/${[...block].map((n) => n * BLOCK)}/sb_1`)).toEqual([]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(folder);
    const shown = await agent.call("GET", "/v1/sandboxes/sb_1", { gen: life });
    expect(await shown.json()).toMatchObject({ status: "stopped", generation: life });
  }
  const last = await agent.sandbox("sb_1", { diskMb: 64 }, LIVES + 1);
  expect((await last.exec("cat kept")).stdout).toBe("life\n".repeat(LIVES));
  expect((await last.exec("for f in data?; do [ $(wc -c <$f) = 3000 ] || echo torn $f; done")).stdout).toBe("");
  expect(control.heard("/register")).toHaveLength(1);
  await agent.stop();
  return LIVES;
}

test("H1: agents killed 54 times in the middle of commands leave no orphan; each goes on with its files", async () => {
  const deaths = await Promise.all(Array.from({ length: AGENTS }, liveAndDie));
  expect(deaths.reduce((sum, each) => sum + each, 0)).toBeGreaterThanOrEqual(50);
}, 180_000);
