import { type Api, api } from "#scripts/lib/api";
import { readEvents, type StreamedEvent } from "#scripts/lib/read-events";
import type { Stack } from "#scripts/lib/stack";

/** A place to measure in: the started product, a workspace, and what the measurements need again and again. */
export class World {
  readonly stack: Stack;
  readonly call: Api;
  readonly workspaceId: string;
  readonly sandboxId: string;

  private constructor(stack: Stack, call: Api, workspaceId: string, sandboxId: string) {
    this.stack = stack;
    this.call = call;
    this.workspaceId = workspaceId;
    this.sandboxId = sandboxId;
  }

  static async open(stack: Stack): Promise<World> {
    const call = api(stack.url, { "x-api-key": stack.apiKey });
    const { id } = await call<{ id: string }>("POST", "/api/v1/workspaces", { name: "bench", runtime: "base" });
    const sandbox = await call<{ id: string }>("POST", "/api/v1/sandboxes", { workspaceId: id });
    return new World(stack, call, id, sandbox.id);
  }

  /** `agentName` names an agent other than the default one, which has no tools. */
  async session(agentName?: string): Promise<string> {
    const path = `/api/v1/workspaces/${this.workspaceId}/sessions`;
    const { id } = await this.call<{ id: string }>("POST", path, { agentName });
    return id;
  }

  async post(sessionId: string, content: string): Promise<string> {
    const { runId } = await this.call<{ runId: string }>("POST", `/api/v1/sessions/${sessionId}/messages`, { content });
    return runId;
  }

  /** Deletes the workspace with its sandbox. */
  async leave(): Promise<void> {
    await this.call("DELETE", `/api/v1/workspaces/${this.workspaceId}`);
  }

  /** Follows a session's stream until it is closed. */
  follow(sessionId: string): Follower {
    return new Follower(this.stack, sessionId);
  }
}

/** One held stream of a session, and the moments its events arrived. */
export class Follower {
  readonly #stop = new AbortController();
  readonly #waiting = new Set<{ wanted: (event: StreamedEvent) => boolean; resolve: () => void }>();
  readonly events: StreamedEvent[] = [];
  readonly closed: Promise<void>;

  constructor({ url, apiKey }: Stack, sessionId: string) {
    const source = { url, apiKey, sessionId, signal: this.#stop.signal };
    this.closed = readEvents(
      source,
      (event) => this.#arrive(event),
      () => false,
    ).catch(() => {});
  }

  /** Resolves when an event arrives that is wanted. */
  next(wanted: (event: StreamedEvent) => boolean): Promise<void> {
    return new Promise((resolve) => this.#waiting.add({ wanted, resolve }));
  }

  close(): Promise<void> {
    this.#stop.abort();
    return this.closed;
  }

  #arrive(event: StreamedEvent): void {
    this.events.push(event);
    for (const waiter of this.#waiting) {
      if (!waiter.wanted(event)) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }
}
