import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PlainBackend } from "#sandbox/host-agent/isolation/plain-backend";
import { findEscapes } from "#sandbox/host-agent/isolation/self-test";
import { installRuntime } from "#sandbox/host-agent/runtime";
import { canLimitDisks, isRoot, LIMITS, TestAgent, type TestSandbox } from "#test/node/agent";
import { ISOLATED_WAYS } from "#test/node/agent-ways";
import { openFolder } from "#test/node/open-folder";

describe.each(ISOLATED_WAYS)("isolation %s", (_name, options) => {
  let agent: TestAgent;
  let one: TestSandbox;
  let other: TestSandbox;

  beforeAll(async () => {
    agent = await TestAgent.start(options);
    one = await agent.sandbox("sb_one");
    other = await agent.sandbox("sb_other");
  });
  afterAll(() => agent?.stop());

  const enforces = (limit: string) => !agent.ready.unenforced.some((text) => text.startsWith(limit));

  test("H3: files, processes and abstract sockets of another sandbox are out of reach", async () => {
    await other.write("secret", "theirs");
    const serve = `require("node:net").createServer().listen("\\0other"); require("node:http").createServer().listen(4321); setTimeout(() => {}, 60000)`;
    await other.exec(`/opt/longshore/node -e '${serve}' marker-of-other >/dev/null 2>&1 &`);
    const probe = `
      const net = require("node:net");
      const tries = [{ path: "\\0other" }, { port: 4321, host: "127.0.0.1" }, { port: ${new URL(`http://${agent.ready.address}`).port}, host: "127.0.0.1" }];
      Promise.all(tries.map((to) => new Promise((done) => net.connect(to).on("connect", () => done(true)).on("error", () => done(false))))).then((r) => { console.log(JSON.stringify(r)); process.exit(0); });`;
    expect((await one.exec(["/opt/longshore/node", "-e", probe])).stdout).toBe("[false,false,false]\n");
    expect((await one.exec("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")).stdout).not.toContain("marker-of-other");
    expect((await one.exec("find / -name secret -type f 2>/dev/null")).stdout).toBe("");
  });

  test("H3: command lines inside show no path of the host, and the first process has no environment", async () => {
    const { stdout } = await one.exec("cat /proc/1/cmdline /proc/2/cmdline; cat /proc/1/environ | wc -c");
    expect(stdout).not.toContain(agent.folder);
    expect(stdout.trim().endsWith("0")).toBe(true);
  });

  test("H3: nothing of the host's network is there", async () => {
    const server = createServer((_, response) => response.end("host"));
    await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
    const { port } = server.address() as AddressInfo;
    const script = `require("node:http").get("http://127.0.0.1:${port}").on("error", (e) => console.log(e.code))`;
    expect((await one.exec(["/opt/longshore/node", "-e", script])).stdout).toBe("ECONNREFUSED\n");
    server.close();
  });

  test("H4: the number of processes is limited, and only this sandbox feels it", async () => {
    const bomb = "i=0; while [ $i -lt 100 ]; do sleep 5 & i=$((i+1)); done; echo survived";
    const request = { execId: "bomb", command: bomb, timeoutMs: 8000 };
    const answer = await one.call("POST", "/exec", JSON.stringify(request));
    expect(answer.headers.get("x-exec-limit")).toBe(enforces("processes") ? "processes" : null);
    expect(await answer.text()).toMatch(/fork|resource/i);
    expect((await other.exec("echo fine")).stdout).toBe("fine\n");
  });

  test("H4: descriptors and the size of one file are limited", async () => {
    const open = `const fs = require("node:fs"); let n = 0; try { for (;;) { fs.openSync("/dev/null"); n++; } } catch (e) { console.log(e.code, n < 1024); }`;
    expect((await other.exec(["/opt/longshore/node", "-e", open])).stdout).toBe("EMFILE true\n");
    const big = await other.exec(`head -c ${(LIMITS.diskMb + 1) * 1024 * 1024} /dev/zero > big; wc -c < big; rm big`);
    expect(Number(big.stdout)).toBeLessThanOrEqual(LIMITS.diskMb * 1024 * 1024);
  });

  test("H4: memory is limited where the agent says so, and the sandbox survives the command", async () => {
    if (!isRoot || options.ordinaryUser) expect(enforces("memory")).toBe(false);
    if (!enforces("memory")) {
      expect(agent.ready.unenforced.join()).toMatch(/memory: no control group/);
      return;
    }
    const eat = "const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1));";
    const command = ["/opt/longshore/node", "-e", eat];
    const answer = await other.call("POST", "/exec", JSON.stringify({ execId: "eat", command, timeoutMs: 20_000 }));
    expect(answer.headers.get("x-exec-limit")).toBe("memory");
    expect(await answer.json()).toMatchObject({ exitCode: 137, timedOut: false });
    expect((await other.exec("echo alive")).stdout).toBe("alive\n");
  });

  test("what cannot be enforced is said in words, with the sandbox too", () => {
    expect(one.started.unenforced).toEqual(agent.ready.unenforced);
    expect(enforces("disk space")).toBe(canLimitDisks && !options.ordinaryUser);
    expect(enforces("separate host users")).toBe(isRoot && !options.ordinaryUser);
  });
});

test("H3: the self-test finds what a sandbox without isolation can do", async () => {
  const folder = openFolder();
  await installRuntime(folder);
  const escapes = await findEscapes({
    backend: new PlainBackend(join(folder, "supervisor.mjs")),
    workspace: join(folder, "workspace"),
    slot: 0,
    node: process.execPath,
    targets: { lock: "\0no-such-socket", hostPaths: [folder] },
  });
  expect(escapes).toEqual(
    expect.arrayContaining([
      "a port of the host can be reached",
      "folders of the host are visible",
      "processes of the host are visible",
      "there is no system call filter",
      expect.stringContaining("sockets of the virtual machine can be opened"),
    ]),
  );
});
