import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { ClientHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { MINUTE, SECOND } from "#kernel/time";
import { isEndToEnd, PREVIEW_HEADERS } from "#protocol/preview";
import { splice } from "#sandbox/splice";
import { Failure } from "./failure.ts";
import type { RunningSandbox } from "./sandbox.ts";

/** Exchanges with ports of one sandbox at once. Each can hold up to the window of one stream in the agent's memory. */
const MOST = 32;
const PARTING_MS = SECOND;
const open = new WeakMap<RunningSandbox, number>();

/** Where a request goes: `path` is what the program behind the port sees, with its query. */
export type PortTarget = { sandbox: RunningSandbox; port: string; path: string };

/** Passes a request to a program that listens inside, and its answer back, both streamed. */
export async function passRequest(target: PortTarget, request: IncomingMessage, response: ServerResponse) {
  await counted(target.sandbox, response, async () => {
    const passage = await dial(target);
    try {
      const onward = begin(target, passage, request, []);
      response.once("close", () => {
        if (!response.writableFinished) onward.destroy();
      });
      const answered = answerOf(onward);
      pipeline(request, onward).catch(() => onward.destroy());
      await passAnswer(await answered, response);
    } finally {
      passage.destroy();
    }
  });
}

/** Passes a connection that becomes something else, such as a WebSocket, to a program that listens inside. */
export async function passUpgrade(target: PortTarget, request: IncomingMessage, socket: Duplex, head: Buffer) {
  await counted(target.sandbox, socket, async () => {
    (socket as Socket).setKeepAlive?.(true, MINUTE);
    const passage = await dial(target);
    socket.once("close", () => passage.destroy());
    try {
      const protocol = ["connection", "upgrade", "upgrade", request.headers.upgrade ?? ""];
      const onward = begin(target, passage, request, protocol);
      const upgraded = new Promise<Upgraded>((resolve) =>
        onward.once("upgrade", (answer, inside, first) => resolve({ answer, inside, first })),
      );
      onward.end();
      const outcome = await Promise.race([answerOf(onward), upgraded]);
      if ("inside" in outcome) await converse(socket, head, outcome);
      else await decline(socket, outcome);
    } finally {
      passage.destroy();
    }
  });
}

type Upgraded = { answer: IncomingMessage; inside: Duplex; first: Buffer };

/** Tells the caller that the program agreed, and leaves the two alone until one of them is gone. */
async function converse(socket: Duplex, head: Buffer, { answer, inside, first }: Upgraded): Promise<void> {
  const headers = pairs(answer.rawHeaders).filter(([name]) => !name.startsWith("x-preview-"));
  socket.write(headText(101, headers), "latin1");
  socket.write(first);
  inside.write(head);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  splice(socket, inside);
  for (const one of [socket, inside]) {
    // Half of such a conversation is worth nothing; what is on its way still arrives.
    one.once("end", () => setTimeout(() => socket.destroy(), PARTING_MS).unref());
  }
  await closed;
}

/** Passes on the ordinary answer of a program that did not want the upgrade; its end is the connection's. */
async function decline(socket: Duplex, answer: IncomingMessage): Promise<void> {
  const headers = pairs(answer.rawHeaders).filter(([name]) => isEndToEnd(name));
  socket.write(headText(answer.statusCode ?? 502, [...headers, ["connection", "close"]]), "latin1");
  await pipeline(answer, socket).catch(() => socket.destroy());
}

function headText(status: number, headers: [name: string, value: string][]): string {
  const lines = [...headers, [PREVIEW_HEADERS.answer, "1"]].map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Answer"}\r\n${lines.join("")}\r\n`;
}

async function counted(sandbox: RunningSandbox, client: Duplex | ServerResponse, work: () => Promise<void>) {
  const count = open.get(sandbox) ?? 0;
  if (count >= MOST) throw new Failure("port_busy", `more than ${MOST} requests to ports of this sandbox are open`);
  if (client.destroyed) return;
  open.set(sandbox, count + 1);
  try {
    await work();
  } finally {
    open.set(sandbox, (open.get(sandbox) ?? 1) - 1);
  }
}

/** A request on a connection of its own to the port; what the program says comes as its events. */
function begin({ path }: PortTarget, passage: Duplex, request: IncomingMessage, more: string[]): ClientRequest {
  const chunked = request.headers["transfer-encoding"] !== undefined ? ["transfer-encoding", "chunked"] : [];
  return httpRequest({
    createConnection: () => passage,
    method: request.method,
    path,
    headers: [...headersFor(request), ...(more.length > 0 ? more : ["connection", "close", ...chunked])],
    setHost: false,
  });
}

/**
 * Opens a way to the port through the supervisor. Strings must not reach an HTTP/2 stream: written together with bytes,
 * Node sends other memory in their place. The wrapper turns them into bytes.
 */
async function dial({ sandbox, port }: PortTarget): Promise<Duplex> {
  let stream: ClientHttp2Stream;
  try {
    stream = sandbox.connection.open({ ":method": "POST", ":path": `/v1/ports/${port}` }, { endStream: false });
  } catch {
    throw new Failure("sandbox_lost", "the sandbox ended");
  }
  stream.on("error", () => {});
  const status = await new Promise<number>((resolve) => {
    stream.once("response", (headers) => resolve(Number(headers[":status"])));
    stream.once("close", () => resolve(0));
  });
  if (status === 200) return Duplex.from({ readable: stream, writable: stream }).on("error", () => {});
  stream.destroy();
  if (status === 0) throw new Failure("sandbox_lost", "the sandbox ended");
  throw new Failure("port_closed", `nothing listens on port ${port}`);
}

function answerOf(onward: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    onward.once("response", resolve);
    onward.once("error", () => reject(new Failure("port_closed", "the program behind the port did not answer")));
  });
}

async function passAnswer(answer: IncomingMessage, response: ServerResponse): Promise<void> {
  const headers = pairs(answer.rawHeaders).filter(([name]) => isEndToEnd(name));
  response.writeHead(answer.statusCode ?? 502, [...headers, [PREVIEW_HEADERS.answer, "1"]].flat());
  response.flushHeaders();
  await pipeline(answer, response).catch(() => response.destroy());
}

/** The headers as the caller sent them, with what the control plane told beside them put back. */
function headersFor(request: IncomingMessage): string[] {
  const told = (name: string) => String(request.headers[name] ?? "");
  const host = told(PREVIEW_HEADERS.host) || "localhost";
  const own = new Set(["host", "authorization", "accept-encoding"]);
  const restored = [
    ["host", host],
    ["authorization", told(PREVIEW_HEADERS.authorization)],
    ["accept-encoding", told(PREVIEW_HEADERS.encoding)],
    ["x-forwarded-host", host],
    ["x-forwarded-proto", told(PREVIEW_HEADERS.proto)],
    ["x-forwarded-for", told(PREVIEW_HEADERS.client)],
  ].filter(([, value]) => value !== "");
  return [...restored, ...pairs(request.rawHeaders).filter(([name]) => isEndToEnd(name) && !own.has(name))].flat();
}

const pairs = (raw: readonly string[]): [name: string, value: string][] =>
  raw.flatMap((name, index) => (index % 2 === 0 ? [[name.toLowerCase(), raw[index + 1] ?? ""]] : []));
