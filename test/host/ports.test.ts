import { createHash } from "node:crypto";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PREVIEW_HEADERS } from "#protocol/preview";
import { TestAgent, type TestSandbox, until } from "#test/node/agent";
import { ISOLATED_AND_PLAIN } from "#test/node/agent-ways";

const BYTES = 16 * 1024 * 1024;

/** A server with a page for each thing that must pass. */
const server = (port: number) => `
const http = require("node:http"), crypto = require("node:crypto");
const server = http.createServer(async (request, response) => {
  const hash = crypto.createHash("sha256");
  let size = 0;
  if (request.url === "/early") { response.writeHead(413).end("too much"); return request.resume(); }
  for await (const chunk of request) { hash.update(chunk); size += chunk.length; }
  if (request.url === "/large") return response.end(Buffer.alloc(${BYTES}, "x"));
  if (request.url === "/events") { response.writeHead(200, { "content-type": "text/event-stream" }); response.write("data: one\\n\\n"); return; }
  if (request.url === "/quiet") { response.writeHead(200, { "x-begun": "yes" }); response.flushHeaders(); return; }
  if (request.url === "/break") { response.writeHead(200, { "content-length": "100" }); response.write("half"); return setTimeout(() => request.socket.destroy(), 50); }
  response.writeHead(request.url.startsWith("/teapot") ? 418 : 200, { "set-cookie": ["a=1", "b=2"], "x-preview-answer": "forged", connection: "x-hop", "x-hop": "1" });
  response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, size, hash: hash.digest("hex") }));
});
server.on("upgrade", (request, socket) => {
  if (request.url === "/no") return socket.end("HTTP/1.1 403 Forbidden\\r\\ncontent-length: 2\\r\\n\\r\\nno");
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nconnection: upgrade\\r\\nupgrade: " + request.headers.upgrade + "\\r\\n\\r\\nfirst:");
  socket.on("error", () => {}).on("data", (bytes) => socket.write(bytes));
});
server.listen(${port}, "localhost", () => require("node:fs").writeFileSync("listening", ""));`;

describe.each(ISOLATED_AND_PLAIN)("ports of sandboxes %s", (name, options) => {
  let agent: TestAgent;
  let sandbox: TestSandbox;
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const node = name === "without isolation" ? process.execPath : "/opt/longshore/node";

  beforeAll(async () => {
    agent = await TestAgent.start(options);
    sandbox = await agent.sandbox();
    void sandbox.exec([node, "-e", server(port)]).catch(() => "it ends with its sandbox");
    await until("it listens", async () => (await sandbox.exec("test -e listening")).exitCode === 0);
  }, 60_000);
  afterAll(() => agent?.stop());

  const at = (path: string, on: number | string = port) => `/v1/sandboxes/sb_1/ports/${on}${path}`;
  const send = async (path: string, init: RequestInit & { on?: number } = {}) =>
    fetch(`http://${agent.ready.address}${at(path, init.on)}`, {
      ...init,
      headers: { authorization: `Bearer ${await agent.control.token()}`, ...(init.headers as object) },
    });

  test("a request arrives as it was sent, and without what belongs to the way", async () => {
    const headers = {
      [PREVIEW_HEADERS.host]: "8080-sb.example.com",
      [PREVIEW_HEADERS.authorization]: "Basic abc",
      [PREVIEW_HEADERS.proto]: "https",
      [PREVIEW_HEADERS.client]: "203.0.113.9",
      "x-forwarded-for": "127.0.0.1",
      "cf-connecting-ip": "127.0.0.1",
      cookie: "own=1",
    };
    const answer = await send("/teapot/%2f%2e?a=b&c", { method: "PATCH", body: "hello", headers });
    expect(answer.status).toBe(418);
    expect(answer.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect(answer.headers.get(PREVIEW_HEADERS.answer)).toBe("1");
    expect(answer.headers.get("x-hop")).toBe("1");
    const seen = (await answer.json()) as { headers: Record<string, string> };
    expect(seen).toMatchObject({ method: "PATCH", url: "/teapot/%2f%2e?a=b&c", size: 5 });
    expect(seen.headers).toMatchObject({
      ...{ host: "8080-sb.example.com", authorization: "Basic abc", cookie: "own=1" },
      ...{ "x-forwarded-host": "8080-sb.example.com", "x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9" },
    });
    expect(Object.keys(seen.headers).filter((each) => /^(cf-|x-preview-)/.test(each))).toEqual([]);
    expect(JSON.stringify(seen)).not.toContain("Bearer");
  });

  test("large bodies pass whole both ways, and a program may answer before it has read one", async () => {
    const wanted = createHash("sha256").update(Buffer.alloc(BYTES, "x")).digest("hex");
    const down = Buffer.from(await (await send("/large")).arrayBuffer());
    expect(createHash("sha256").update(down).digest("hex")).toBe(wanted);
    const up = await send("/up", { method: "POST", body: Buffer.alloc(BYTES, "x") });
    expect(await up.json()).toMatchObject({ size: BYTES, hash: wanted });
    expect((await send("/early", { method: "POST", body: Buffer.alloc(1024, "x") })).status).toBe(413);
  });

  test("a stream is not held back, headers alone neither, and a broken answer breaks", async () => {
    const events = (await send("/events")).body!.getReader();
    expect(Buffer.from((await events.read()).value!).toString()).toBe("data: one\n\n");
    await events.cancel();
    const quiet = await send("/quiet");
    expect(quiet.headers.get("x-begun")).toBe("yes");
    await quiet.body?.cancel();
    await expect((await send("/break")).text()).rejects.toThrow();
  });

  const upgrade = async (path: string, on: number | string = port) => {
    const token = await agent.control.token();
    const [host, agentPort] = agent.ready.address.split(":");
    const socket = connect(Number(agentPort), host);
    const headers = `host: x\r\nauthorization: Bearer ${token}\r\nconnection: upgrade\r\nupgrade: echo`;
    socket.write(`GET ${at(path, on)} HTTP/1.1\r\n${headers}\r\n\r\nearly`);
    let text = "";
    socket.setEncoding("latin1").on("data", (piece: string) => {
      text += piece;
    });
    return { socket, heard: () => text };
  };

  test("an upgrade becomes a connection, whose bytes pass both ways", async () => {
    const { socket, heard } = await upgrade("/socket");
    await until("both sides spoke", () => heard().endsWith("first:early"));
    expect(heard()).toMatch(/^HTTP\/1.1 101 .*upgrade: echo/s);
    expect(heard()).toContain(`${PREVIEW_HEADERS.answer}: 1`);
    socket.write("more");
    await until("it echoes", () => heard().endsWith("first:earlymore"));
    socket.destroy();
    const refused = await upgrade("/no");
    await until("it was refused", () => refused.heard().endsWith("no"));
    expect(refused.heard()).toMatch(/^HTTP\/1.1 403 /);
    const closed = await upgrade("/", 1);
    await until("it was told", () => closed.heard().includes("port_closed"));
    expect(closed.heard()).toMatch(/^HTTP\/1.1 502 /);
  });

  test("R422: a port where nothing listens is 502, a wrong one 400, and neither is marked as an answer", async () => {
    const closed = await send("/", { on: 1 });
    expect([closed.status, await closed.json()]).toMatchObject([502, { error: { code: "port_closed" } }]);
    expect(closed.headers.get(PREVIEW_HEADERS.answer)).toBeNull();
    for (const on of [0, 65_536, -1]) expect((await send("/", { on })).status).toBe(on === 65_536 ? 502 : 400);
    const token = await agent.control.token({ act: "lifecycle" });
    expect((await agent.call("GET", at("/"), { token })).status).toBe(401);
    expect((await agent.call("GET", at("/"), { token: "" })).status).toBe(401);
    expect((await agent.call("GET", at("/"), { token: await agent.control.token({ sandbox: "sb_2" }) })).status).toBe(
      401,
    );
    expect((await agent.call("GET", at("/"), { gen: 9 })).status).toBe(409);
  });

  test("what is open to ports of one sandbox is bounded, and free again once it is closed", async () => {
    const held: Response[] = [];
    await until("32 fit", async () => {
      const answer = await send("/quiet");
      return answer.status === 200 && held.push(answer) === 32;
    });
    const refused = await send("/");
    expect([refused.status, await refused.json()]).toMatchObject([503, { error: { code: "port_busy" } }]);
    expect((await sandbox.exec("echo fine")).stdout).toBe("fine\n");
    for (const answer of held) await answer.body?.cancel();
    await until("there is room again", async () => (await send("/")).status === 200);
  });

  test("a caller that never reads costs no more than its window", async () => {
    const token = await agent.control.token();
    const calls = Array.from({ length: 8 }, () => {
      const call = httpRequest(`http://${agent.ready.address}${at("/large")}`, {
        headers: { authorization: `Bearer ${token}` },
      }).end();
      call.on("response", (answer) => answer.pause()).on("error", () => {});
      return call;
    });
    await until("others are served", async () => (await send("/")).status === 200);
    expect((await sandbox.exec("echo fine")).stdout).toBe("fine\n");
    for (const call of calls) call.destroy();
  });
});
