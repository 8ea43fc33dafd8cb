import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { NetworkPolicy } from "#protocol/host-agent";
import { TestAgent, type TestSandbox, until } from "#test/node/agent";
import { ISOLATED_WAYS } from "#test/node/agent-ways";
import { NameServer } from "#test/node/name-server";

const NODE = "/opt/longshore/node";
const LARGE_BYTES = 24 * 1024 * 1024;

/** Asks the proxy in its own words and prints the first bytes of what it answers. */
const raw = (text: string) => `
  const socket = require("node:net").connect(3128, "127.0.0.1", () => socket.write(${JSON.stringify(text)}));
  socket.setEncoding("latin1").once("data", (bytes) => { console.log(bytes); process.exit(0); }).once("close", () => console.log("closed"));`;
const connectTo = (authority: string) => raw(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`);

let origin: Server;
let port: number;
let names: NameServer;
const seen: { url: string; headers: Record<string, unknown>; hash: string }[] = [];
let held = 0;

beforeAll(async () => {
  origin = createServer(async (request, response) => {
    const hash = createHash("sha256");
    for await (const chunk of request) hash.update(chunk);
    seen.push({ url: request.url ?? "", headers: request.headers, hash: hash.digest("hex") });
    if (request.url === "/large") return void response.end(Buffer.alloc(LARGE_BYTES, "x"));
    if (request.url === "/events") return void response.writeHead(200).write("data: first\n\n");
    if (request.url === "/endless") {
      response.on("error", () => {});
      const write = () => !response.destroyed && response.write(Buffer.alloc(64 * 1024), write);
      return void write();
    }
    response.setHeader("x-twice", ["a", "b"]);
    response.end(`hello from ${request.headers.host}`);
  });
  origin.on("connection", (socket) => {
    held++;
    socket.once("close", () => held--);
  });
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  port = (origin.address() as AddressInfo).port;
  names = await NameServer.start({
    "origin.test": () => ["127.0.0.1"],
    "inside.test": () => ["127.0.0.1"],
    "metadata.test": () => ["169.254.169.254", "168.63.129.16", "100.100.100.200"],
    "own.test": () => [ownAddress()],
  });
});
afterAll(() => {
  names.close();
  origin.closeAllConnections();
  origin.close();
});

const ownAddress = () =>
  Object.values(networkInterfaces())
    .flat()
    .find((each) => each && !each.internal && each.family === "IPv4")?.address ?? "127.0.0.1";

describe.each(ISOLATED_WAYS)("the way out of sandboxes %s", (_name, options) => {
  let agent: TestAgent;
  let listed: TestSandbox;
  let open: TestSandbox;
  let shut: TestSandbox;

  beforeAll(async () => {
    const settings = ["--egress-ports", `80,${port}`, "--egress-allow", `origin.test:${port}`];
    agent = await TestAgent.start({ ...options, args: [...settings, "--egress-dns", names.address] });
    const start = (id: string, network?: NetworkPolicy) => agent.sandbox(id, {}, 1, network);
    [listed, open, shut] = [
      await start("sb_listed", { allow: ["origin.test", "*.example.com"] }),
      await start("sb_open", { allow: ["*"] }),
      await start("sb_shut"),
    ];
  }, 60_000);
  afterAll(() => agent?.stop());

  const run = async (sandbox: TestSandbox, script: string) =>
    (await sandbox.exec([NODE, "-e", script], { timeoutMs: 30_000 })).stdout;

  test("programs find the proxy by their environment and reach what is listed", async () => {
    const page = await run(listed, `fetch("http://origin.test:${port}/a?b=c").then((r) => r.text()).then(console.log)`);
    expect(page).toBe(`hello from origin.test:${port}\n`);
    expect(seen.at(-1)).toMatchObject({ url: "/a?b=c", headers: { host: `origin.test:${port}` } });
    const plain = await listed.exec(`curl -s -H 'Proxy-Authorization: secret' http://origin.test:${port}/ -D -`);
    expect(plain.stdout).toMatch(/x-twice: a\r\nx-twice: b/);
    expect(JSON.stringify(seen.at(-1)?.headers)).not.toMatch(/proxy|secret/i);
    const tunnel = raw(`CONNECT origin.test:${port} HTTP/1.1\r\n\r\nGET /t HTTP/1.0\r\n\r\n`);
    expect(await run(listed, tunnel)).toContain("200 Connection established");
    await until("the early bytes arrived too", () => seen.some(({ url }) => url === "/t"));
    expect(listed.started.network).toEqual({ allow: ["origin.test", "*.example.com"] });
  });

  test("bytes are the same both ways, plain and through a tunnel, and a stream is not held back", async () => {
    const wanted = createHash("sha256").update(Buffer.alloc(LARGE_BYTES, "x")).digest("hex");
    for (const tunnel of ["", "-p"]) {
      const down = await listed.exec(`curl -s ${tunnel} http://origin.test:${port}/large | sha256sum`);
      expect(down.stdout.slice(0, 64)).toBe(wanted);
      const up = await listed.exec(
        `head -c ${LARGE_BYTES} /dev/zero | tr '\\0' x | curl -s ${tunnel} -T - http://origin.test:${port}/up`,
      );
      expect(up.exitCode).toBe(0);
      expect(seen.at(-1)).toMatchObject({ url: "/up", hash: wanted });
      const first = await listed.exec(`curl -sN ${tunnel} http://origin.test:${port}/events | head -n 1`, {
        timeoutMs: 10_000,
      });
      expect(first.stdout).toBe("data: first\n");
    }
  });

  test.for([
    ["a name that is not listed", "listed", "elsewhere.test:80", /403 .*elsewhere.test: it is not on its list/s],
    ["the name above a listed wildcard", "listed", "example.com:80", /403 .*not on its list/s],
    ["a name that only ends alike", "listed", "notexample.com:80", /403 .*not on its list/s],
    ["an address where names are listed", "listed", "1.1.1.1:80", /403 .*not on its list/s],
    ["another port", "open", "origin.test:22", /403 .*port 22/s],
    ["loopback", "open", "127.0.0.1:80", /403 .*not public/s],
    ["loopback as a number", "open", "2130706433:80", /403 .*not public/s],
    ["loopback by IPv6", "open", "[::1]:80", /403 .*not public/s],
    ["loopback in a mapped form", "open", "[::ffff:127.0.0.1]:80", /403 .*not public/s],
    ["the metadata service", "open", "169.254.169.254:80", /403 .*not public/s],
    ["a name that means loopback", "open", "inside.test:80", /403 .*not public/s],
    ["a name that means metadata services", "open", "metadata.test:80", /403 .*not public/s],
    ["a name that means this machine", "open", "own.test:80", /403 .*not public/s],
    ["a name that nobody knows", "open", "nobody.test:80", /502 .*cannot be resolved/s],
    ["what is no address", "open", "user@origin.test:80", /400 /],
    ["what has no port", "open", "origin.test", /400 /],
  ] as const)("H3: %s is refused in words", async ([, which, authority, words]) => {
    expect(await run(which === "open" ? open : listed, connectTo(authority))).toMatch(words);
  });

  test("H3: a plain request is held to the same rules, and only http passes", async () => {
    const get = (address: string) => raw(`GET ${address} HTTP/1.1\r\nhost: x\r\n\r\n`);
    expect(await run(open, get("http://127.0.0.1:80/"))).toMatch(/403 .*not public/s);
    expect(await run(open, get(`http://inside.test:${port}/`))).toMatch(/403 .*not public/s);
    for (const address of ["https://origin.test/", "/", "file:///etc/passwd", "http://a:b@origin.test/"]) {
      expect(await run(open, get(address))).toMatch(/400 /);
    }
  });

  test("H3: what is not listed is not even looked up", async () => {
    const before = names.asked.length;
    await run(listed, connectTo("secret-word.elsewhere.test:80"));
    expect(names.asked.slice(before)).toEqual([]);
  });

  test("H3: a sandbox without a policy has no proxy, and none of another one's", async () => {
    const { stdout } = await shut.exec("env | grep -ci proxy; ls /run; cat /proc/net/tcp | wc -l");
    expect(stdout).toBe("0\n1\n");
    expect(shut.started.network).toBe("off");
    expect(await run(shut, `${connectTo("origin.test:80")} socket.on("error", (e) => console.log(e.code));`)).toContain(
      "ECONNREFUSED",
    );
    const sockets = readdirSync(join(agent.folder, "state/ways"));
    expect(sockets).toHaveLength(2);
    for (const sandbox of [listed, shut]) {
      for (const name of sockets) {
        const path = join(agent.folder, "state/ways", name);
        expect((await sandbox.exec(`test -e ${path} && echo there`)).stdout).toBe("");
      }
    }
    expect((await listed.exec("ls /run")).stdout).toBe("longshore-proxy\n");
    expect((await listed.exec("rm -f /run/longshore-proxy; mv /run/longshore-proxy /run/x; ls /run")).stdout).toBe(
      "longshore-proxy\n",
    );
  });

  test("what one sandbox holds open is bounded, in number and in the agent's memory", async () => {
    const rss = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${agent.process.pid}/status`, "utf8"))?.[1]);
    const before = rss();
    const hold = `
      const net = require("node:net");
      const answers = {};
      for (let i = 0; i < 40; i++) {
        const socket = net.connect(3128, "127.0.0.1", () => socket.write("CONNECT origin.test:${port} HTTP/1.1\\r\\n\\r\\nGET /endless HTTP/1.0\\r\\n\\r\\n"));
        socket.once("data", (bytes) => {
          const status = bytes.toString("latin1", 9, 12);
          answers[status] = (answers[status] ?? 0) + 1;
          socket.pause();
          require("node:fs").writeFileSync("answers", JSON.stringify(answers));
        });
        socket.on("error", () => {});
      }
      setTimeout(() => {}, 60000);`;
    const holding = listed.call("POST", "/exec", JSON.stringify({ execId: "hold", command: [NODE, "-e", hold] }));
    await until("all were answered", async () => (await listed.exec("cat answers")).stdout === '{"200":32,"503":8}');
    expect((rss() - before) / 1024).toBeLessThan(32);
    expect(await run(open, `fetch("http://origin.test:${port}/").then((r) => console.log(r.status))`)).toBe("200\n");
    await listed.call("DELETE", "/exec/hold");
    await holding;
    await until("they are free again", async () =>
      (await run(listed, connectTo(`origin.test:${port}`))).includes("200 Connection"),
    );
  });

  test("refusals are logged, a few of them, with the name and the reason", async () => {
    const script = `(async () => { for (let i = 0; i < 40; i++) await fetch("http://loop.test/").catch(() => {}); })()`;
    await run(listed, script);
    const lines = agent.output.filter((line) => line.includes("loop.test"));
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThanOrEqual(10);
    expect(JSON.parse(lines[0]!)).toMatchObject({ sandbox: "sb_listed", host: "loop.test", port: 80 });
  });

  test("what a sandbox has open ends with it", async () => {
    const brief = await agent.sandbox("sb_brief", {}, 1, { allow: ["origin.test"] });
    await until("nothing else is open", () => held === 0);
    void brief.exec(`curl -sN http://origin.test:${port}/events`).catch(() => "it ends with its sandbox");
    await until("it is connected", () => held === 1);
    const count = readdirSync(join(agent.folder, "state/ways")).length;
    await agent.call("DELETE", "/v1/sandboxes/sb_brief?files=wipe", { sandbox: "sb_brief", act: "lifecycle" });
    await until("the connection is closed", () => held === 0);
    expect(readdirSync(join(agent.folder, "state/ways"))).toHaveLength(count - 1);
    expect(existsSync(join(agent.folder, "state/ways"))).toBe(true);
  });
});

test("without isolation there is no proxy, and the agent says that the network is open", async () => {
  const agent = await TestAgent.start({ args: ["--insecure-no-isolation"] });
  const sandbox = await agent.sandbox("sb_1", {}, 1, { allow: ["origin.test"] });
  expect(sandbox.started.network).toBe("open");
  expect((await sandbox.exec("env | grep -ci proxy")).stdout).toBe("0\n");
  await agent.stop();
});

test.for([
  ["--egress-ports", "http", /--egress-ports must be/],
  ["--egress-dns", "name.example.com", /--egress-dns must list/],
] as const)("%s %s is a mistake that is named", async ([option, value, words]) => {
  const failure = await TestAgent.start({ args: [option, value] }).catch((error) => error);
  expect(failure.message).toMatch(words);
});
