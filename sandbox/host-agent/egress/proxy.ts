import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { NetworkPolicy } from "#protocol/host-agent";
import { splice } from "#sandbox/splice";
import { dial } from "./dial.ts";
import { forward } from "./forward.ts";
import type { RefusalLog } from "./refusal-log.ts";
import type { Addresses } from "./resolve.ts";
import { demandNamed, EgressRefusal, readAddress, readAuthority, type Target } from "./rules.ts";

/** What one sandbox may have open at once. Each costs at most some 130 KiB of the agent's memory. */
const MAX_OPEN = 32;
/** Connections beyond those are told that it is too many; beyond this they are closed without a word. */
const MAX_CONNECTIONS = 2 * MAX_OPEN;

export type ProxyInput = {
  policy: Exclude<NetworkPolicy, "off">;
  ports: ReadonlySet<number>;
  addresses: Addresses;
  refusals: RefusalLog;
  /** What all sandboxes together may still open. */
  budget: { left: number };
};

type State = { open: number; sockets: Set<Socket> };

/**
 * The way out of one sandbox: an HTTP proxy that connects to what its policy names and to nothing else. `end` breaks off
 * whatever is open.
 */
export function createProxy(input: ProxyInput): { server: Server; end: () => void } {
  const state: State = { open: 0, sockets: new Set() };
  const server = createServer((request, response) => {
    response.on("error", () => {});
    void within(input, state, response, async (gone) => {
      const { url, target } = readAddress(request.url ?? "");
      await forward(url, await reach(input, state, target, gone), request, response);
    }).catch((error) => refuse(request, response, error));
  });
  server.on("connect", (request: IncomingMessage, client: Duplex, head: Buffer) => {
    client.on("error", () => {});
    void within(input, state, client, async (gone) => {
      const socket = await reach(input, state, readAuthority(request.url ?? ""), gone);
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      socket.write(head);
      await tunnel(client, socket);
    }).catch((error) => client.end(refusalText(error)));
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.requestTimeout = 0;
  const end = () => {
    server.close();
    server.closeAllConnections();
    for (const socket of state.sockets) socket.destroy();
  };
  return { server, end };
}

/** Counts one exchange while it lasts. `gone` tells when the program inside has left. */
async function within(
  { budget }: ProxyInput,
  state: State,
  client: Duplex | ServerResponse,
  work: (gone: AbortSignal) => Promise<void>,
): Promise<void> {
  if (state.open >= MAX_OPEN || budget.left <= 0) {
    throw new EgressRefusal(503, "too many connections are open at once, try again later");
  }
  const gone = new AbortController();
  client.once("close", () => gone.abort());
  state.open++;
  budget.left--;
  try {
    await work(gone.signal);
  } finally {
    state.open--;
    budget.left++;
  }
}

async function reach(input: ProxyInput, { sockets }: State, target: Target, gone: AbortSignal): Promise<Socket> {
  try {
    demandNamed(target, input.policy, input.ports);
    const socket = await dial(target, await input.addresses.find(target), gone);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    return socket;
  } catch (error) {
    if (error instanceof EgressRefusal && error.status === 403) input.refusals.note(target, error.message);
    throw error;
  }
}

/** Answers when both directions have ended. */
function tunnel(client: Duplex, socket: Socket): Promise<void> {
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  splice(client, socket);
  return closed;
}

const asRefusal = (error: unknown) =>
  error instanceof EgressRefusal ? error : new EgressRefusal(502, "the connection failed");

function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  const { status, message } = asRefusal(error);
  // A body that nobody reads must not be taken for the next request.
  const closing = request.complete ? {} : { connection: "close" };
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...closing }).end(`${message}\n`);
}

function refusalText(error: unknown): string {
  const { status, message } = asRefusal(error);
  const body = Buffer.from(`${message}\n`);
  const head = [`HTTP/1.1 ${status} Refused`, "content-type: text/plain; charset=utf-8", "connection: close"];
  return [...head, `content-length: ${body.length}`, "", body].join("\r\n");
}
