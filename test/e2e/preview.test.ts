import { createHash, randomBytes } from "node:crypto";
import { type IncomingMessage, type OutgoingHttpHeaders, request } from "node:http";
import type { Duplex } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { api } from "#scripts/lib/api";
import { until } from "#test/node/agent";
import { type Started, startedProduct } from "#test/node/started";

const BYTES = 32 * 1024 * 1024;
const PORT = 8123;

/** A small program with a page, a stream, uploads, and a WebSocket that says everything back. */
const PROGRAM = `
const http = require("node:http"), crypto = require("node:crypto");
const server = http.createServer(async (request, response) => {
  if (request.url === "/large") return response.end(Buffer.alloc(${BYTES}, "x"));
  if (request.url === "/events") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    let n = 0;
    const timer = setInterval(() => response.write("data: " + ++n + "\\n\\n"), 200);
    return request.on("close", () => clearInterval(timer));
  }
  const hash = crypto.createHash("sha256");
  for await (const chunk of request) hash.update(chunk);
  response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, hash: hash.digest("hex") }));
});
server.on("upgrade", (request, socket) => {
  const accept = crypto.createHash("sha1").update(request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nupgrade: websocket\\r\\nconnection: upgrade\\r\\nsec-websocket-accept: " + accept + "\\r\\n\\r\\n");
  socket.on("error", () => {}).on("data", (frame) => {
    const length = frame[1] & 127, mask = frame.subarray(2, 6);
    const said = Buffer.from(frame.subarray(6, 6 + length)).map((byte, i) => byte ^ mask[i % 4]);
    if ((frame[0] & 15) === 1) socket.write(Buffer.concat([Buffer.from([0x81, length]), said]));
    else socket.end();
  });
});
server.listen(${PORT}, "127.0.0.1");`;

let product: Started;
let sandboxId: string;
let link: string;

beforeAll(async () => {
  product = await startedProduct();
  const call = api(product.url, { "x-api-key": product.apiKey });
  const workspace = await call<{ id: string }>("POST", "/api/v1/workspaces", { name: "seen", runtime: "base" });
  const run = (command: string) =>
    call<{ stdout: string }>("POST", `/api/v1/sandboxes/${workspace.id}/commands/foreground`, { command });
  const encoded = Buffer.from(PROGRAM).toString("base64");
  await run(`echo ${encoded} | base64 -d > server.cjs`);
  const serving = `/api/v1/sandboxes/${workspace.id}/commands/foreground`;
  void call("POST", serving, { command: "exec /opt/longshore/node server.cjs" }).catch(
    () => "it ends with the product",
  );
  const shared = await call<{ url: string }>("POST", `/extras/v1/sandboxes/${workspace.id}/preview-links`, {
    port: PORT,
  });
  link = shared.url;
  sandboxId = new URL(link).hostname.replace(/^\d+-/, "").replace(".localhost", "");
  await until("it serves", async () => (await visit("/", { "x-api-key": product.apiKey })).statusCode === 200, 20_000);
}, 120_000);

afterAll(async () => {
  expect(await product?.stop()).toBe(0);
});

type Options = { method?: string; body?: Buffer; upgraded?: (socket: Duplex, answer: IncomingMessage) => void };

/** A request as a browser sends it that was told the host name; no resolver need know it. */
function visit(path: string, headers: OutgoingHttpHeaders = {}, { method = "GET", body, upgraded }: Options = {}) {
  const { hostname, port } = new URL(product.url);
  const host = `${PORT}-${sandboxId}.localhost:${port}`;
  return new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({ hostname, port, path, method, headers: { ...headers, host } }, resolve);
    sent.on("upgrade", (answer, socket) => {
      upgraded?.(socket, answer);
      resolve(answer);
    });
    sent.on("error", reject).end(body);
  });
}

const key = () => ({ "x-api-key": product.apiKey });

test("R422: a browser follows a link, keeps its cookie, and sees the program", async () => {
  expect((await visit("/")).statusCode).toBe(404);
  const { search } = new URL(link);
  const first = await visit(`/page${search}`);
  expect(first.statusCode).toBe(302);
  const cookie = first.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
  const page = await visit("/page", { cookie: `${cookie}; own=1` });
  expect(page.statusCode).toBe(200);
  const { port } = new URL(product.url);
  const seen = JSON.parse(await text(page));
  expect(seen).toMatchObject({ method: "GET", url: "/page" });
  expect(seen.headers).toMatchObject({
    ...{ host: `${PORT}-${sandboxId}.localhost:${port}`, cookie: "own=1" },
    ...{ "x-forwarded-proto": "http", "x-forwarded-for": "127.0.0.1" },
  });
  expect(JSON.stringify(seen)).not.toContain(product.apiKey);
});

test("R422: large bodies pass whole both ways", async () => {
  const down = await buffer(await visit("/large", key()));
  expect(down.equals(Buffer.alloc(BYTES, "x"))).toBe(true);
  const body = randomBytes(BYTES);
  const up = await visit("/up", { ...key(), "content-length": body.length }, { method: "PUT", body });
  const wanted = createHash("sha256").update(body).digest("hex");
  expect(JSON.parse(await text(up))).toMatchObject({ method: "PUT", hash: wanted });
});

test("R422: a stream of events comes as it is made", async () => {
  const events = await visit("/events", key());
  const times: number[] = [];
  for await (const piece of events) {
    times.push(performance.now());
    expect(String(piece)).toMatch(/^data: /);
    if (times.length === 4) break;
  }
  expect(times.at(-1)! - times[0]!).toBeGreaterThan(300);
});

test("R422: a WebSocket talks with the program", async () => {
  const said: Buffer[] = [];
  const headers = {
    ...{ ...key(), connection: "upgrade", upgrade: "websocket" },
    ...{ "sec-websocket-version": "13", "sec-websocket-key": randomBytes(16).toString("base64") },
  };
  let open: Duplex | undefined;
  const upgraded = (socket: Duplex) => {
    open = socket;
    socket.on("data", (bytes: Buffer) => said.push(bytes));
    const [mask, word] = [randomBytes(4), Buffer.from("hello")];
    const masked = word.map((byte, i) => byte ^ mask[i % 4]!);
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | word.length]), mask, masked]));
  };
  const answer = await visit("/socket", headers, { upgraded });
  expect(answer.statusCode).toBe(101);
  await expect.poll(() => Buffer.concat(said).toString("latin1"), { timeout: 10_000 }).toContain("hello");
  open?.destroy();
});
