import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { syscallProgram } from "#sandbox/host-agent/isolation/elf";
import { processesWith, TestAgent, type TestSandbox, until } from "#test/node/agent";
import { ISOLATED_WAYS } from "#test/node/agent-ways";
import { SYSTEM_CALL_CHECKS } from "./probe/system-calls.ts";

const NODE = "/opt/longshore/node";
const [SHMGET, SEMGET, MSGGET, IPC_CREATE] = [29, 64, 68, 0o1666];
const IPC_KEY = 0x10_4507;
/** What isolation has to stand at least. */
const LEAST = 87;

const Results = z.array(
  z.object({ name: z.string(), expected: z.enum(["blocked", "harmless"]), ok: z.boolean(), saw: z.string() }),
);

const listen = (where: number | string): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.listen(where as number, typeof where === "number" ? "::" : undefined, () => resolve(server));
  });

/** Fills a sandbox with everything that another one must not reach. */
async function furnish(other: TestSandbox, word: string): Promise<void> {
  await other.write(word, "theirs");
  for (const [name, program] of Object.entries({
    shm: syscallProgram(SHMGET, IPC_KEY, 4096, IPC_CREATE),
    sem: syscallProgram(SEMGET, IPC_KEY, 1, IPC_CREATE),
    msg: syscallProgram(MSGGET, IPC_KEY, IPC_CREATE),
  })) {
    await other.write(`make-${name}`, new Uint8Array(program));
    expect((await other.exec(`chmod +x make-${name} && ./make-${name}`)).exitCode).toBe(0);
  }
  expect((await other.exec("cat /proc/sysvipc/shm | wc -l")).stdout).toBe("2\n");
  await other.exec(`echo theirs >/tmp/${word}; echo theirs >/dev/shm/${word}`);
  const serve = `const net = require("node:net"); for (const at of [{ path: "\\0${word}" }, { path: "/run/${word}" }, { port: 4321 }]) net.createServer().listen(at);`;
  const env = { SECRET: word };
  void other.exec([NODE, "-e", serve, word], { env }).catch(() => "it ends with its sandbox");
  await until("it serves", async () => {
    const { stdout } = await other.exec("cat /proc/net/unix /proc/net/tcp6");
    return stdout.includes(`@${word}`) && stdout.includes(":10E1 ");
  });
}

async function probe(sandbox: TestSandbox, targets: object) {
  await sandbox.write("probe.json", JSON.stringify({ targets, calls: SYSTEM_CALL_CHECKS }));
  await sandbox.write("probe.mjs", readFileSync(join(import.meta.dirname, "probe/inside.mjs")));
  const { stdout, stderr } = await sandbox.exec([NODE, "probe.mjs"], { timeoutMs: 60_000 });
  expect(stderr).toBe("");
  return Results.parse(JSON.parse(stdout));
}

test.for(ISOLATED_WAYS)("H3: nothing gets out of a sandbox or into another one, %s", async ([, options]) => {
  const word = `theirs-${Math.random().toString(36).slice(2)}`;
  const [host, abstract] = [await listen(0), await listen(`\0${word}-host`)];
  const { port } = host.address() as AddressInfo;
  const agent = await TestAgent.start({ ...options, args: ["--egress-ports", `80,${port}`] });
  onTestFinished(() => agent.stop());
  const start = (id: string) => agent.sandbox(id, {}, 1, { allow: ["*"] });
  const [one, other] = [await start("sb_one"), await start("sb_other")];
  await furnish(other, word);
  const address = Object.values(networkInterfaces())
    .flat()
    .find((each) => each && !each.internal && each.family === "IPv4")?.address;
  const targets = {
    hostPaths: [agent.folder, join(agent.folder, "state/sandboxes/sb_other"), join(agent.folder, "state/private")],
    hostSecrets: ["state/private", "state/disks", "--token"],
    hostPids: [agent.process.pid, process.pid, ...processesWith(word)],
    proxies: [0, 1].map((slot) => join(agent.folder, "state/ways", String(slot))),
    ...{ port, agentPort: Number(agent.ready.address.split(":").at(-1)) },
    ...{ address: address ?? "127.0.0.1", abstractSocket: `${word}-host`, otherSocket: word, otherPort: 4321 },
    ...{ otherFile: word, otherWord: word, otherId: "sb_other" },
  };
  const results = await probe(one, targets);
  const unexpected = results.filter(({ ok }) => !ok);
  console.log(`${results.length} tried, ${unexpected.length} unexpected`);
  expect(unexpected).toEqual([]);
  expect(results.length).toBeGreaterThanOrEqual(LEAST);
  expect(new Set(results.map(({ name }) => name)).size).toBeGreaterThanOrEqual(LEAST);
  // The same probe does see what is the other sandbox's, from inside that one.
  const own = (await probe(other, targets)).filter(({ ok }) => !ok).map(({ name }) => name);
  expect(own.filter((name) => !name.startsWith("its mounts"))).toEqual([
    "connecting to a port of another sandbox",
    "connecting to an abstract socket of another sandbox",
    "connecting to a socket file of another sandbox",
    "finding a file of another sandbox",
    "its shared memory file",
    "its temporary file",
    "its processes",
    "its environment",
    "its SysV objects",
  ]);
  host.close();
  abstract.close();
});
