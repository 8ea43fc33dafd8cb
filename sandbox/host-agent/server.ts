import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { z } from "zod";
import type { Log } from "#kernel/log";
import { MINUTE } from "#kernel/time";
import {
  type AgentAct,
  type AgentHealth,
  METRIC_TIERS,
  type SnapshotAnswer,
  SnapshotRequest,
  StartSandbox,
} from "#protocol/host-agent";
import { Failure } from "./failure.ts";
import { type PortTarget, passRequest, passUpgrade } from "./ports.ts";
import { proxy } from "./proxy.ts";
import type { Sandboxes } from "./sandboxes.ts";
import type { Claims, TokenReader } from "./tokens.ts";

/** A template's variables and commands are the most of it. */
const MAX_BODY_BYTES = 1024 * 1024;
const PORT_PATH = /^\/v1\/sandboxes\/([^/?]+)\/ports\/([^/?]+)([/?].*)?$/;
const SANDBOX_PATH =
  /^\/v1\/sandboxes\/([^/?]+)(?:\/supervisor(\/v1\/[^?]*)|\/(freeze|thaw|metrics|snapshot))?(\?.*)?$/;

type Options = { sandboxes: Sandboxes; tokens: TokenReader; health: () => AgentHealth; log: Log };

/** The host agent's HTTP interface, see `protocol/host-agent`. */
export function createAgentServer(options: Options): Server {
  const server = createServer((request, response) => {
    response.on("error", () => {});
    handle(options, request, response).catch((error) => fail(options.log, request, response, error));
  });
  // Commands and uploads may take as long as they like; only a caller that never finishes its headers is cut.
  server.requestTimeout = 0;
  server.headersTimeout = MINUTE;
  server.keepAliveTimeout = 2 * MINUTE;
  server.on("upgrade", (request, socket, head) => {
    socket.on("error", () => {});
    upgrade(options, request, socket, head).catch((error) => failUpgrade(options.log, socket, error));
  });
  return server;
}

async function handle(options: Options, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const target = request.url ?? "/";
  if (target === "/v1/health" && request.method === "GET") return json(response, options.health());
  const port = await portTarget(options, request);
  if (port) return passRequest(port, request, response);
  const claims = await options.tokens.read(request.headers.authorization);
  const [, id, path, verb, query = ""] = SANDBOX_PATH.exec(target) ?? [];
  if (id === undefined) throw new Failure("invalid", "no such operation");
  if (claims.sub !== id) throw new Failure("unauthorized", "the token is for another sandbox");
  if (verb === "snapshot") return json(response, await takeSnapshot(options, claims, request, response));
  if (verb !== undefined) return json(response, await answerVerb(options, claims, `${request.method} ${verb}`, query));
  if (path === undefined) return lifecycle(options, claims, query, request, response);
  allow(claims, "use");
  await proxy(await options.sandboxes.running(id, claims.gen), `${path}${query}`, request, response);
}

async function upgrade(options: Options, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  const port = await portTarget(options, request);
  if (!port) throw new Failure("invalid", "no such operation");
  await passUpgrade(port, request, socket, head);
}

/** The port that a request is for; undefined when it is for something else. */
async function portTarget({ tokens, sandboxes }: Options, request: IncomingMessage): Promise<PortTarget | undefined> {
  const [, id, port, path = "/"] = PORT_PATH.exec(request.url ?? "") ?? [];
  if (id === undefined || port === undefined) return undefined;
  const claims = await tokens.read(request.headers.authorization);
  if (claims.sub !== id) throw new Failure("unauthorized", "the token is for another sandbox");
  allow(claims, "use");
  if (!/^[1-9][0-9]{0,4}$/.test(port)) throw new Failure("invalid", "a port is 1 to 65535");
  const sandbox = await sandboxes.running(id, claims.gen);
  return { sandbox, port, path: path.startsWith("/") ? path : `/${path}` };
}

async function answerVerb(
  { sandboxes, tokens }: Options,
  claims: Claims,
  call: string,
  query: string,
): Promise<unknown> {
  const { sub: id, gen } = claims;
  if (call === "GET metrics") {
    const tier = z.enum([...METRIC_TIERS, "all"]).safeParse(new URLSearchParams(query).get("tier") ?? "10m");
    if (!tier.success) throw new Failure("invalid", "tier is 10m, 2h, 24h or all");
    return sandboxes.metrics(id, gen, tier.data === "all" ? METRIC_TIERS : [tier.data]);
  }
  if (call !== "POST freeze" && call !== "POST thaw") throw new Failure("invalid", "no such operation");
  allow(claims, "lifecycle");
  tokens.spend(claims);
  return call === "POST freeze" ? sandboxes.freeze(id, gen) : sandboxes.thaw(id, gen);
}

async function takeSnapshot(
  { sandboxes, tokens }: Options,
  claims: Claims,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<SnapshotAnswer> {
  allow(claims, "lifecycle");
  if (request.method !== "POST") throw new Failure("invalid", "no such operation");
  const gone = new AbortController();
  response.once("close", () => gone.abort(new Failure("snapshot_failed", "whoever asked for the snapshot has gone")));
  const { token } = await readBody(request, SnapshotRequest, "SnapshotRequest");
  tokens.spend(claims);
  return sandboxes.snapshot(claims.sub, claims.gen, token, gone.signal);
}

async function lifecycle(
  { sandboxes, tokens }: Options,
  claims: Claims,
  query: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { sub: id, gen } = claims;
  if (request.method === "GET") return json(response, sandboxes.get(id, gen));
  allow(claims, "lifecycle");
  if (request.method === "PUT") {
    const wanted = await readBody(request, StartSandbox, "StartSandbox");
    tokens.spend(claims);
    return json(response, await sandboxes.start(id, gen, wanted));
  }
  if (request.method !== "DELETE") throw new Failure("invalid", "no such operation");
  const files = z.enum(["keep", "wipe"]).safeParse(new URLSearchParams(query).get("files") ?? "keep");
  if (!files.success) throw new Failure("invalid", "files is keep or wipe");
  tokens.spend(claims);
  await sandboxes.stop(id, gen, files.data);
  response.writeHead(204).end();
}

function allow(claims: Claims, act: AgentAct): void {
  if (claims.act !== act) throw new Failure("unauthorized", `the token does not allow ${act}`);
}

async function readBody<T>(request: IncomingMessage, schema: z.ZodType<T>, name: string): Promise<T> {
  if (Number(request.headers["content-length"] ?? Number.POSITIVE_INFINITY) > MAX_BODY_BYTES) {
    throw new Failure("invalid", "the body must have a length of at most 1 MiB");
  }
  const body = await text(request);
  try {
    return schema.parse(JSON.parse(body));
  } catch {
    throw new Failure("invalid", `the body must be a ${name}`);
  }
}

function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function failUpgrade(log: Log, socket: Duplex, error: unknown): void {
  const { code, message, status } = asFailure(log, error);
  const body = JSON.stringify({ error: { code, message } });
  const head = [`HTTP/1.1 ${status} Refused`, "content-type: application/json", "connection: close"];
  socket.end([...head, `content-length: ${Buffer.byteLength(body)}`, "", body].join("\r\n"));
}

function asFailure(log: Log, error: unknown): Failure {
  if (error instanceof Failure) return error;
  log.error("a request failed", { error });
  return new Failure("internal", "internal error");
}

function fail(log: Log, request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const failure = asFailure(log, error);
  // A body that nobody reads must not be taken for the next request.
  if (!request.complete) response.setHeader("connection", "close");
  json(response, { error: { code: failure.code, message: failure.message } }, failure.status);
}
