import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ExecResult } from "#protocol/supervisor";
import { isRoot, TestAgent, type TestSandbox } from "#test/node/agent";

const NODE = "/opt/longshore/node";
const TIME_MS = 6000;

type Bomb = { command: string | string[]; limit: string | null; sees: (result: ExecResult) => unknown };

/** Each goes for one limit; `limit` is the name its host gives to it, null where the command itself is told. */
const BOMBS: Record<string, Bomb> = {
  fork: {
    command: "bomb() { bomb | bomb & }; bomb; sleep 60",
    limit: "processes",
    sees: ({ stderr }) => expect(stderr).toMatch(/fork/i),
  },
  memory: {
    command: [NODE, "-e", "const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1));"],
    limit: "memory",
    sees: ({ exitCode }) => expect(exitCode).toBe(137),
  },
  "memory in many processes": {
    command: "for i in 1 2 3 4 5 6 7 8; do head -c 60M /dev/zero | tail & done; wait",
    limit: "memory",
    sees: ({ stdout }) => expect(stdout.length).toBeLessThan(500 * 1024 * 1024),
  },
  disk: {
    command: "i=0; while head -c 30M /dev/zero >big$i; do i=$((i+1)); done",
    limit: "disk",
    sees: ({ stderr }) => expect(stderr).toContain("No space left"),
  },
  inode: {
    command: [
      NODE,
      "-e",
      `const fs = require("node:fs"); fs.mkdirSync("many"); try { for (let i = 0; ; i++) fs.writeFileSync("many/" + i, ""); } catch (e) { console.log(e.code); }`,
    ],
    limit: "disk",
    sees: ({ stdout }) => expect(stdout).toBe("ENOSPC\n"),
  },
  "temporary files": {
    command:
      "head -c 200M /dev/zero >/tmp/big; head -c 200M /dev/zero >/dev/shm/big; du -sm /tmp /dev/shm; rm /tmp/big /dev/shm/big",
    limit: null,
    sees: ({ stdout, stderr }) => {
      expect(stderr.match(/No space left/g)).toHaveLength(2);
      expect(stdout).toMatch(/^6\d\t\/tmp\n1\d\t\/dev\/shm/);
    },
  },
  descriptor: {
    command: [
      NODE,
      "-e",
      `const fs = require("node:fs"); let n = 0; try { for (;;) { fs.openSync("/dev/null"); n++; } } catch (e) { console.log(e.code, n < 1024); }`,
    ],
    limit: null,
    sees: ({ stdout }) => expect(stdout).toBe("EMFILE true\n"),
  },
  output: {
    command: "yes",
    limit: null,
    sees: (result) => expect(result).toMatchObject({ truncated: true, timedOut: true }),
  },
};

describe.runIf(isRoot)("bombs in a sandbox of an agent that runs as root", () => {
  let agent: TestAgent;
  let victim: TestSandbox;
  let other: TestSandbox;

  beforeAll(async () => {
    agent = await TestAgent.start();
    victim = await agent.sandbox("sb_victim", { memoryMb: 300, diskMb: 128, pids: 64 });
    other = await agent.sandbox("sb_other");
  });
  afterAll(() => agent?.stop());

  test.for(Object.entries(BOMBS))(
    "H4: a %s bomb stays inside, names its limit, and leaves the sandbox usable",
    async ([name, { command, limit, sees }]) => {
      const request = { execId: `bomb-${name}`, command, timeoutMs: TIME_MS, outputLimit: 1024 * 1024 };
      const bomb = victim.call("POST", "/exec", JSON.stringify(request));
      expect((await other.exec("echo meanwhile")).stdout).toBe("meanwhile\n");
      const answer = await bomb;
      expect(answer.headers.get("x-exec-limit")).toBe(limit);
      sees((await answer.json()) as ExecResult);
      const after = await victim.exec("rm -rf big* many; pgrep -c . ; echo usable >file && cat file");
      expect(after.stdout).toMatch(/^\d+\nusable\n$/);
      expect(Number(after.stdout.split("\n")[0])).toBeLessThan(8);
      expect((await other.exec("echo fine; ls -A")).stdout).toBe("fine\n");
      expect(agent.process.exitCode).toBeNull();
    },
  );
});
