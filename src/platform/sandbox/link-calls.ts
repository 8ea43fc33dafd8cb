import { waitUntil } from "cloudflare:workers";
import type { LinkOptions, SandboxHandle, SandboxRoute } from "#domain/sandbox/ports";
import { PAUSED_STATUSES } from "#domain/sandbox/status";
import { Fault, unwrap } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import { type AgentCall, callAgent, PausedSandbox, readAnswer, StaleLease } from "#platform/sandbox/agent-client";
import type { RouteCache } from "#platform/sandbox/route-cache";
import { AgentSandbox } from "#protocol/host-agent";

const LOOK_DEADLINE_MS = 5 * SECOND;

export type Call = Pick<AgentCall, "method" | "body" | "deadlineMs" | "signal" | "onAnswer"> & {
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  /** True when doing it twice is the same as doing it once, so that it can be repeated after the host was lost. */
  repeatable?: boolean;
  /** Told the route just before it is used. */
  onRoute?: (route: SandboxRoute) => void;
};

/** What can be found out about a sandbox under one lease; a paused one is not gone. */
export type Whereabouts = "running" | "paused" | "gone" | "unknown";

type Target = { teamId: string; sandboxId: string; handle: SandboxHandle; routes: RouteCache };

/** Calls to the supervisor of one sandbox: one request to its host for each while the route is known. */
export class LinkCalls {
  readonly #target: Target;
  readonly #options: LinkOptions;

  constructor(target: Target, options: LinkOptions) {
    this.#target = target;
    this.#options = options;
  }

  get(path: string, query?: Call["query"]): Promise<Response> {
    return this.call({ method: "GET", path, ...(query && { query }), repeatable: true });
  }

  post(path: string, body: object): Promise<Response> {
    return this.call({ method: "POST", path, body: JSON.stringify(body) });
  }

  /**
   * Calls the supervisor. When the host says that the lease is stale, or the sandbox paused, nothing has happened yet: the
   * sandbox's object is asked for a new route and the call is made once more. When the connection broke, only a
   * repeatable call is.
   */
  async call(call: Call): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      const route = await unlessAborted(this.#route(), call.signal);
      call.onRoute?.(route);
      try {
        const { path, query, repeatable, onRoute, ...rest } = call;
        return await callAgent({ ...this.#at(route, `${path}${search(query)}`), ...rest });
      } catch (error) {
        if (attempt > 1 || !this.#mayRepeat(call, route, error)) throw error;
      }
    }
  }

  /** Deletes something of a sandbox that runs, without starting one for it or asking twice. */
  async deleteIfRunning(path: string): Promise<void> {
    const { handle, teamId, routes } = this.#target;
    // Without a known route only a running sandbox is asked: one that does not run has nothing to delete.
    if (!routes.look(this.#key).route && unwrap(await handle.get(teamId)).status !== "running") return;
    await callAgent({ ...this.#at(await this.#route(), path), method: "DELETE" });
  }

  /** What has become of the sandbox that had this generation. */
  async look(generation: number): Promise<Whereabouts> {
    try {
      const { address, token } = await this.#routeAsItIs();
      const path = `/v1/sandboxes/${this.#target.sandboxId}`;
      const response = await callAgent({ address, token, method: "GET", path, deadlineMs: LOOK_DEADLINE_MS });
      const there = await readAnswer(response, AgentSandbox);
      return there.status !== "stopped" && there.generation === generation ? there.status : "gone";
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== "sandbox_not_running") return "unknown";
      return this.#lookAtObject(generation).catch(() => "unknown" as const);
    }
  }

  /** Tells the sandbox's object, without waiting, that somebody uses it: what idleness would pause must hear of it. */
  noteUse(route: SandboxRoute): void {
    const { handle, teamId, routes } = this.#target;
    if (this.#options.quiet || !routes.mustTell(this.#key, route.timed)) return;
    waitUntil(handle.touch(teamId).catch(() => {}));
  }

  #mayRepeat(call: Call, { generation }: SandboxRoute, error: unknown): boolean {
    const { routes } = this.#target;
    const canRepeat = !(call.body instanceof ReadableStream);
    if (error instanceof PausedSandbox) {
      routes.drop(this.#key);
      return canRepeat && this.#options.wake !== false;
    }
    if (!(error instanceof Fault) || error.code !== "host_lost") return false;
    routes.lose(this.#key, generation);
    return canRepeat && (error instanceof StaleLease || call.repeatable === true);
  }

  /** There is no route to a sandbox that is paused; only its object knows that it will go on. */
  async #lookAtObject(generation: number): Promise<Whereabouts> {
    const { handle, teamId } = this.#target;
    const view = unwrap(await handle.get(teamId));
    return PAUSED_STATUSES.includes(view.status) && view.generation === generation ? "paused" : "gone";
  }

  async #route(): Promise<SandboxRoute> {
    const { handle, teamId, routes } = this.#target;
    const { route, lost } = routes.look(this.#key);
    if (route) {
      this.noteUse(route);
      return route;
    }
    const found = unwrap(await handle.route(teamId, { lost, ...this.#options }));
    routes.keep(this.#key, found, this.#options.quiet !== true);
    return found;
  }

  /** The route without waking the sandbox, and without counting as use. */
  async #routeAsItIs(): Promise<SandboxRoute> {
    const { handle, teamId, routes } = this.#target;
    return routes.look(this.#key).route ?? unwrap(await handle.route(teamId, { wake: false, quiet: true }));
  }

  #at({ address, token }: SandboxRoute, path: string): Pick<AgentCall, "address" | "token" | "path"> {
    return { address, token, path: `/v1/sandboxes/${this.#target.sandboxId}/supervisor/v1${path}` };
  }

  get #key(): string {
    return `${this.#target.teamId}:${this.#target.sandboxId}`;
  }
}

/** A sandbox that is starting must not hold up a caller who no longer wants it. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
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
