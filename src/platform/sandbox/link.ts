import type { SandboxHandle, SandboxLink, SandboxRoute } from "#domain/sandbox/ports";
import { Fault, unwrap } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import { type AgentCall, callAgent, readAnswer, StaleLease } from "#platform/sandbox/agent-client";
import type { RouteCache } from "#platform/sandbox/route-cache";
import { watchExec } from "#platform/sandbox/watch-exec";
import {
  EXEC_LIMITS,
  ExecResult,
  FileList,
  FileStat,
  GlobResult,
  LIMIT_HEADER,
  RemovedEntry,
} from "#protocol/supervisor";

/** What an answer may take beyond the time a command was given. */
const EXEC_GRACE_MS = 10 * SECOND;
/** Bytes of a file may take longer than an answer. */
const UPLOAD_DEADLINE_MS = 600 * SECOND;

type Call = Pick<AgentCall, "method" | "body" | "deadlineMs" | "signal"> & {
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  /** True when doing it twice is the same as doing it once, so that it can be repeated after the host was lost. */
  repeatable?: boolean;
  /** Told the route just before it is used. */
  onRoute?: (route: SandboxRoute) => void;
};

/** The inside of one sandbox, through its host agent: one request to the host for each call while the route is known. */
export class HostLink implements SandboxLink {
  readonly #teamId: string;
  readonly #sandboxId: string;
  readonly #handle: SandboxHandle;
  readonly #routes: RouteCache;

  constructor(teamId: string, sandboxId: string, handle: SandboxHandle, routes: RouteCache) {
    this.#teamId = teamId;
    this.#sandboxId = sandboxId;
    this.#handle = handle;
    this.#routes = routes;
  }

  async exec(request: Parameters<SandboxLink["exec"]>[0], signal?: AbortSignal): Promise<ExecResult> {
    const watch = watchExec(this.#sandboxId, () => this.#route());
    try {
      const response = await this.#call({
        method: "POST",
        path: "/exec",
        body: JSON.stringify(request),
        deadlineMs: request.timeoutMs === undefined ? null : request.timeoutMs + EXEC_GRACE_MS,
        signal: signal ? AbortSignal.any([signal, watch.signal]) : watch.signal,
        onRoute: watch.start,
      });
      const limit = EXEC_LIMITS.find((name) => name === response.headers.get(LIMIT_HEADER));
      return { ...(await readAnswer(response, ExecResult)), ...(limit && { limit }) };
    } catch (error) {
      if (!signal?.aborted) throw error;
      await this.kill(request.execId);
      throw signal.reason;
    } finally {
      watch.end();
    }
  }

  async kill(execId: string): Promise<void> {
    // Without a known route only a running sandbox is asked: one that does not run has no command to kill.
    if (!this.#routes.look(this.#key).route) {
      const view = unwrap(await this.#handle.get(this.#teamId));
      if (view.status !== "running") return;
    }
    const path = `/exec/${encodeURIComponent(execId)}`;
    await callAgent({ ...this.#at(await this.#route(), path), method: "DELETE" }).catch(unlessDead);
  }

  async stat(path: string): Promise<FileStat> {
    return readAnswer(await this.#get("/files/stat", { path }), FileStat);
  }

  async list(path: string, page: Parameters<SandboxLink["list"]>[1]): Promise<FileList> {
    return readAnswer(await this.#get("/files/list", { path, ...page }), FileList);
  }

  async read(path: string, maxBytes?: number): ReturnType<SandboxLink["read"]> {
    const response = await this.#get("/files/content", { path, maxBytes });
    const header = response.headers.get("x-file-stat") ?? "";
    const stat = FileStat.safeParse(fromHeader(header));
    if (!stat.success) throw new Fault("sandbox_failed", "the host sent a file without saying what it is");
    return { stat: stat.data, body: response.body ?? new Blob([]).stream() };
  }

  async write(
    path: string,
    body: ReadableStream<Uint8Array> | Uint8Array | string,
    options: Parameters<SandboxLink["write"]>[2],
  ): Promise<FileStat> {
    // A stream can be sent once, so the sandbox is woken before it is touched.
    if (body instanceof ReadableStream) await this.#get("/health");
    const query = { path, ...options };
    const call = { method: "PUT", path: "/files/content", query, body, deadlineMs: UPLOAD_DEADLINE_MS } as const;
    return readAnswer(await this.#call(call), FileStat);
  }

  async mkdir(path: string, parents: boolean): Promise<FileStat> {
    return readAnswer(await this.#post("/files/mkdir", { path, parents }), FileStat);
  }

  async move(source: string, target: string, overwrite: boolean): Promise<FileStat> {
    return readAnswer(await this.#post("/files/move", { source, target, overwrite }), FileStat);
  }

  async remove(path: string, recursive: boolean): ReturnType<SandboxLink["remove"]> {
    return readAnswer(await this.#call({ method: "DELETE", path: "/files", query: { path, recursive } }), RemovedEntry);
  }

  async glob(pattern: string, path: string, limit: number): Promise<GlobResult> {
    return readAnswer(await this.#get("/files/glob", { pattern, path, limit }), GlobResult);
  }

  #get(path: string, query?: Call["query"]): Promise<Response> {
    return this.#call({ method: "GET", path, ...(query && { query }), repeatable: true });
  }

  #post(path: string, body: object): Promise<Response> {
    return this.#call({ method: "POST", path, body: JSON.stringify(body) });
  }

  /**
   * Calls the supervisor. When the host says that the lease is stale, nothing has happened yet: the sandbox's object is
   * asked for a new route and the call is made once more. When the connection broke, only a repeatable call is.
   */
  async #call(call: Call): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      const route = await unlessAborted(this.#route(), call.signal);
      call.onRoute?.(route);
      try {
        const { path, query, repeatable, onRoute, ...rest } = call;
        return await callAgent({ ...this.#at(route, `${path}${search(query)}`), ...rest });
      } catch (error) {
        if (!(error instanceof Fault) || error.code !== "host_lost") throw error;
        this.#routes.lose(this.#key, route.generation);
        const harmless = error instanceof StaleLease || call.repeatable === true;
        if (!harmless || attempt > 1 || call.body instanceof ReadableStream) throw error;
      }
    }
  }

  async #route(): Promise<SandboxRoute> {
    const { route, lost } = this.#routes.look(this.#key);
    if (route) return route;
    const found = unwrap(await this.#handle.route(this.#teamId, { lost }));
    this.#routes.keep(this.#key, found);
    return found;
  }

  #at({ address, token }: SandboxRoute, path: string): Pick<AgentCall, "address" | "token" | "path"> {
    return { address, token, path: `/v1/sandboxes/${this.#sandboxId}/supervisor/v1${path}` };
  }

  get #key(): string {
    return `${this.#teamId}:${this.#sandboxId}`;
  }
}

/** A sandbox that is starting must not hold up a caller who no longer wants it. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}

function search(query: Call["query"] = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  return given.length > 0 ? `?${new URLSearchParams(given)}` : "";
}

function fromHeader(header: string): unknown {
  try {
    return JSON.parse(decodeURIComponent(header));
  } catch {
    return undefined;
  }
}

/** A command the supervisor does not know has ended, and so has every command of a sandbox that does not run. */
function unlessDead(error: unknown): void {
  const dead = error instanceof StaleLease || (error instanceof Fault && error.code === "conflict");
  if (!dead) throw error;
}
