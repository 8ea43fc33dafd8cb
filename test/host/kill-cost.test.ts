import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ProcessList } from "#protocol/supervisor";
import { descriptorCount } from "#scripts/lib/descriptors";
import { TestAgent, type TestSandbox, until } from "#test/node/agent";
import { ISOLATED_AND_PLAIN } from "#test/node/agent-ways";
import { residentBytes } from "#test/node/process-facts";
import { ProcessStream, startProcess } from "#test/node/process-stream";

const MIB = 1024 ** 2;
const ROUNDS = 100;
const WRITER = "while :; do echo x >last; done";

describe.each(ISOLATED_AND_PLAIN)("the cost of a kill %s", (name, options) => {
  let agent: TestAgent;
  let sandbox: TestSandbox;

  beforeAll(async () => {
    agent = await TestAgent.start(options);
    sandbox = await agent.sandbox("sb_kill", { pids: 300, memoryMb: 512 });
  });
  afterAll(() => agent?.stop());

  const writtenAt = async () => Number((await sandbox.json("GET", "/files/stat?path=last")).body.mtimeMs ?? 0);

  const ways = {
    "a process": async () => {
      const { tag } = await startProcess(sandbox, { command: WRITER });
      return () => sandbox.call("DELETE", `/processes/${tag}`);
    },
    "a terminal": async () => {
      const { tag } = await startProcess(sandbox, { tty: { cols: 80, rows: 24 }, command: ["/bin/sh", "-c", WRITER] });
      return () => sandbox.call("DELETE", `/processes/${tag}`);
    },
    "an owned stream": async () => {
      const stream = await ProcessStream.own(sandbox, { command: WRITER, tag: "owned" });
      return async () => {
        stream.leave();
        await until(
          "it has ended",
          async () => ProcessList.parse((await sandbox.json("GET", "/processes")).body).processes.length === 0,
        );
      };
    },
  };

  test.for(Object.entries(ways))(
    "R7: from the kill of %s to its last write: 99 of 100 within 100 ms",
    { timeout: 120_000 },
    async ([, begin]) => {
      const latencies: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        await sandbox.exec("rm -f last");
        const kill = await begin();
        await until("it writes", async () => (await writtenAt()) > 0);
        const askedAt = Date.now();
        await kill();
        latencies.push((await writtenAt()) - askedAt);
      }
      latencies.sort((a, b) => a - b);
      expect(latencies[ROUNDS * 0.99 - 1]).toBeLessThanOrEqual(100);
    },
  );

  test("a thousand commands and two hundred processes leave no process, descriptor or memory behind", async () => {
    const { pid } = (await sandbox.json("GET", "/health")).body as { pid: number };
    const inside = async () => {
      const { stdout } = await sandbox.exec(
        `ls /proc/${pid}/fd | wc -l; grep VmRSS /proc/${pid}/status; ls -d /proc/[0-9]* | wc -l; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l`,
      );
      const [descriptors = 0, kilobytes = 0, processes = 0, zombies = 0] = (stdout.match(/\d+/g) ?? []).map(Number);
      return { descriptors, bytes: kilobytes * 1024, processes, zombies };
    };
    const commands = async (count: number) => {
      for (let done = 0; done < count; done += 10) {
        await Promise.all(Array.from({ length: 10 }, () => sandbox.exec("echo hello; (sleep 0.01 &)")));
      }
    };
    const processes = async (count: number) => {
      for (let done = 0; done < count; done += 20) {
        const started = await Promise.all(
          Array.from({ length: 20 }, (_, index) =>
            startProcess(
              sandbox,
              index % 2 ? { command: "echo x; setsid sleep 60 & sleep 60" } : { tty: { cols: 80, rows: 24 } },
            ),
          ),
        );
        const streams = await Promise.all(started.map(({ tag }) => ProcessStream.attach(sandbox, tag)));
        await Promise.all(started.map(({ tag }) => sandbox.call("DELETE", `/processes/${tag}`)));
        await Promise.all(streams.map((stream) => stream.whole()));
      }
    };
    await commands(100);
    await processes(40);
    const before = {
      ...(await inside()),
      agent: descriptorCount(agent.process.pid!),
      memory: residentBytes(agent.process.pid!),
    };
    await commands(1000);
    await processes(200);
    await until("descriptors are closed", () => descriptorCount(agent.process.pid!) <= before.agent + 8);
    const after = await inside();
    expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + 48);
    if (name === "in bubblewrap") {
      expect(after.processes).toBeLessThanOrEqual(before.processes);
      expect(after.zombies).toBe(0);
    }
    expect(after.bytes - before.bytes).toBeLessThan(48 * MIB);
    expect(residentBytes(agent.process.pid!) - before.memory).toBeLessThan(64 * MIB);
  }, 240_000);
});
