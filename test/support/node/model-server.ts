import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ChatAnswer, fastAnswer } from "./chat-answer.ts";
import { type ChatRequest, type Script, type ScriptTurn, scriptOf, strictProblem } from "./model-script.ts";
import { TestServer } from "./test-server.ts";

export type RecordedRequest = {
  headers: IncomingMessage["headers"];
  body: ChatRequest;
  /** True once the client went away before the answer was complete. */
  aborted: boolean;
};

export type ModelServerOptions = {
  port?: number;
  scripts?: Record<string, Script>;
  /** Refuse, as strict providers do, conversations with unpaired tool calls. */
  strict?: boolean;
  /** Length of the answer to a message that names no script. */
  fastTokens?: number;
  /** Keep every request; off for benchmarks. */
  record?: boolean;
};

type Gate = { released: Promise<void>; release: () => void; waiting: number };

/**
 * A scripted model behind the OpenAI chat-completions interface (`/v1/chat/completions`, streamed or not). The last
 * user message picks its script with `script:NAME`, so many sessions share one server. Other processes steer it over
 * HTTP: `PUT /control/scripts/NAME`, `POST /control/gates/NAME` (release), `GET /control/gates/NAME` (`{waiting}`),
 * `GET /control/requests`.
 */
export class ModelServer {
  readonly requests: RecordedRequest[] = [];
  readonly #options: Required<Omit<ModelServerOptions, "port" | "scripts">>;
  readonly #scripts: Map<string, Script>;
  readonly #gates = new Map<string, Gate>();
  readonly #attempts = new Map<string, number>();
  readonly #fast: Buffer;
  readonly #server = new TestServer((request, text, response) => this.#handle(request, text, response));

  constructor({ scripts = {}, strict = true, fastTokens = 20, record = true }: ModelServerOptions) {
    this.#options = { strict, fastTokens, record };
    this.#scripts = new Map(Object.entries(scripts));
    this.#fast = fastAnswer(fastTokens);
  }

  /** Listens on 127.0.0.1, on a free port unless one is named. */
  static async start(options: ModelServerOptions = {}): Promise<ModelServer> {
    const server = new ModelServer(options);
    await server.#server.listen(options.port);
    return server;
  }

  /** Base URL for clients, with `/v1`. */
  get url(): string {
    return `${this.#server.origin}/v1`;
  }

  script(name: string, script: Script): void {
    this.#scripts.set(name, script);
  }

  /** Lets every answer pass that waits at the gate now or later. */
  release(name: string): void {
    this.#gate(name).release();
  }

  /** How many answers wait at the gate. */
  waiting(name: string): number {
    return this.#gate(name).waiting;
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  async #handle(request: IncomingMessage, text: string, response: ServerResponse): Promise<void> {
    if (request.url === "/v1/chat/completions" && request.method === "POST") {
      return this.#complete(request, text, response);
    }
    this.#control(`${request.method} ${request.url}`, text, response);
  }

  async #complete(request: IncomingMessage, text: string, response: ServerResponse): Promise<void> {
    const body = JSON.parse(text) as ChatRequest;
    const recorded: RecordedRequest = { headers: request.headers, body, aborted: false };
    response.once("close", () => {
      recorded.aborted = !response.writableFinished;
    });
    if (this.#options.record) this.requests.push(recorded);
    const problem = this.#options.strict ? strictProblem(body.messages) : null;
    if (problem) return sendJson(response, 400, { error: { message: problem, type: "invalid_request_error" } });
    const { name, turn } = scriptOf(body);
    if (name === undefined && body.stream) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      return void response.end(this.#fast);
    }
    const found = name === undefined ? { steps: [{ tokens: this.#options.fastTokens }] } : this.#turn(name, turn, text);
    if (!found) return sendJson(response, 500, { error: { message: `script ${name} has no turn ${turn}` } });
    if ("error" in found) return sendError(response, found.error);
    await this.#play(found, new ChatAnswer(response, body.stream === true, body.model ?? "scripted"));
  }

  #turn(name: string, index: number, text: string): ScriptTurn | undefined {
    const turn = this.#scripts.get(name)?.[index];
    if (!Array.isArray(turn)) return turn;
    const attempt = this.#attempts.get(text) ?? 0;
    this.#attempts.set(text, attempt + 1);
    return turn[Math.min(attempt, turn.length - 1)];
  }

  async #play(turn: Extract<ScriptTurn, { steps: unknown }>, answer: ChatAnswer): Promise<void> {
    for (const step of turn.steps) {
      if (answer.closed.aborted) return;
      if ("text" in step) answer.text(step.text);
      else if ("reasoning" in step) answer.reasoning(step.reasoning);
      else if ("call" in step) answer.call(step.call);
      else if ("tokens" in step) await tokens(answer, step.tokens, step.perSecond);
      else if ("wait" in step) await this.#wait(step.wait, answer.closed);
      else return answer.cut(step.cut);
    }
    answer.finish(turn.finish, turn.usage);
  }

  async #wait(name: string, closed: AbortSignal): Promise<void> {
    const gate = this.#gate(name);
    gate.waiting += 1;
    const gone = new Promise<void>((resolve) => closed.addEventListener("abort", () => resolve(), { once: true }));
    await Promise.race([gate.released, gone]);
    gate.waiting -= 1;
  }

  #gate(name: string): Gate {
    const known = this.#gates.get(name);
    if (known) return known;
    const { promise, resolve } = Promise.withResolvers<void>();
    const gate = { released: promise, release: resolve, waiting: 0 };
    this.#gates.set(name, gate);
    return gate;
  }

  #control(route: string, text: string, response: ServerResponse): void {
    const [, verb, what, name = ""] = /^(\w+) \/control\/(\w+)(?:\/([\w-]+))?$/.exec(route) ?? [];
    switch (`${verb} ${what}`) {
      case "PUT scripts":
        this.script(name, JSON.parse(text) as Script);
        break;
      case "POST gates":
        this.release(name);
        break;
      case "GET gates":
        sendJson(response, 200, { waiting: this.waiting(name) });
        return;
      case "GET requests":
        sendJson(response, 200, this.requests);
        return;
      default:
        sendJson(response, 404, { error: { message: `no route ${route}` } });
        return;
    }
    sendJson(response, 200, {});
  }
}

async function tokens(answer: ChatAnswer, count: number, perSecond?: number): Promise<void> {
  const startedAt = performance.now();
  for (let i = 0; i < count && !answer.closed.aborted; i++) {
    answer.text(`t${i} `);
    if (perSecond === undefined) continue;
    const dueMs = ((i + 1) * 1_000) / perSecond - (performance.now() - startedAt);
    if (dueMs > 0) await delay(dueMs, undefined, { signal: answer.closed }).catch(() => {});
  }
}

function sendError(
  response: ServerResponse,
  { status, message, retryAfterSeconds }: Extract<ScriptTurn, { error: unknown }>["error"],
) {
  if (retryAfterSeconds !== undefined) response.setHeader("retry-after", String(retryAfterSeconds));
  sendJson(response, status, { error: { message, type: "scripted", code: status } });
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "0" },
      fast: { type: "string", default: "20" },
      lenient: { type: "boolean", default: false },
      record: { type: "boolean", default: false },
    },
  });
  const server = await ModelServer.start({
    port: Number(values.port),
    fastTokens: Number(values.fast),
    strict: !values.lenient,
    record: values.record,
  });
  console.log(JSON.stringify({ ready: true, url: server.url, pid: process.pid }));
}
