import {
  type ContainerState,
  type ContainerStatus,
  type ContainerStep,
  type ContainerVerb,
  isStale,
  planFor,
} from "#domain/container/machine";
import { sizeFor } from "#domain/container/sizes";
import type { Log } from "#kernel/log";
import { MINUTE } from "#kernel/time";
import { AgentRefusal, refusalResponse } from "#objects/container/agent-refusal";
import { callInside, untilServing } from "#objects/container/inside";
import type { ContainerAdapter, SavedFiles } from "#platform/sandbox/container-adapter";
import { type ControlClaims, readControlToken } from "#platform/sandbox/control-token";
import { CONTAINER_HOST, isOpen } from "#protocol/container";
import { AgentSandbox, StartSandbox } from "#protocol/host-agent";

/** How often the files of a container that is in use are saved, in case it is lost. */
export const SAVE_EVERY_MS = 10 * MINUTE;

/** What outlives the container: the lease, what was started, and where its files are. */
export type ContainerRow = {
  state: ContainerState;
  start: StartSandbox | null;
  saved: SavedFiles | null;
  /** The size of the container that runs or ran last, for people. */
  size: string | null;
};

export type ContainerStore = { row: ContainerRow | undefined; save(row: ContainerRow): void };

export type ContainerHostOptions = {
  sandboxId: string;
  env: { SIGNING_KEY?: string };
  store: ContainerStore;
  adapter: ContainerAdapter;
  /** The public keys that the agent inside trusts, as a JSON Web Key Set. */
  controlKeys: () => Promise<string>;
  log: Log;
};

const PATH = /^\/v1\/sandboxes\/([^/?]+)(\/[^?]*)?$/;

/**
 * Speaks the host agent's interface for one sandbox in a container. The lifecycle is answered here, by starting, saving
 * and ending the container; everything else by the agent inside. Calls of the lifecycle happen one after the other.
 */
export class ContainerHost {
  readonly #options: ContainerHostOptions;
  #turn: Promise<unknown> = Promise.resolve();
  #usedSinceSave = true;

  constructor(options: ContainerHostOptions) {
    this.#options = options;
  }

  async answer(request: Request): Promise<Response> {
    try {
      const { pathname, searchParams } = new URL(request.url);
      const [, id, rest = ""] = PATH.exec(pathname) ?? [];
      if (id !== this.#options.sandboxId) throw new AgentRefusal("not_found", "no such sandbox in this container");
      const verb = verbOf(request.method, rest, searchParams.get("files"));
      if (verb === undefined) return await this.#pass(request);
      const claims = await this.#claims(request);
      if (verb === "look") return Response.json(await this.#inTurn(() => this.#look(claims.generation)));
      if (claims.act !== "lifecycle") throw new AgentRefusal("unauthorized", "the token does not allow lifecycle");
      const start = verb === "start" ? await startOf(request) : null;
      const shown = await this.#inTurn(() => this.#run(verb, claims.generation, start));
      return request.method === "DELETE" ? new Response(null, { status: 204 }) : Response.json(shown);
    } catch (error) {
      // An upload that nobody reads any more must end.
      if (!request.bodyUsed) await request.body?.cancel().catch(() => undefined);
      return refusalResponse(error, this.#options.log);
    }
  }

  /**
   * Looks after the container now and then: keeps it from being ended as unused and saves its files. False when there is
   * nothing to look after any more; a container that is gone although it should run is `lost`.
   */
  tend(): Promise<"running" | "resting" | "lost"> {
    return this.#inTurn(async () => {
      const { store, adapter, log } = this.#options;
      const row = store.row;
      if (row?.state.status !== "running") return "resting";
      if (!(await adapter.isAlive())) return "lost";
      await adapter.keepAlive();
      if (!this.#usedSinceSave) return "running";
      this.#usedSinceSave = false;
      try {
        await this.#save(row, "running");
      } catch (error) {
        this.#usedSinceSave = true;
        log.warn("the files of a container were not saved", { sandboxId: this.#options.sandboxId, error });
      }
      return "running";
    });
  }

  async #pass(request: Request): Promise<Response> {
    const { store, adapter } = this.#options;
    const status = store.row?.state.status;
    if (status === "paused") throw new AgentRefusal("sandbox_paused", "this sandbox is paused");
    if (status !== "running" || !(await adapter.isAlive())) {
      throw new AgentRefusal("sandbox_not_running", "this sandbox does not run here");
    }
    this.#usedSinceSave = true;
    try {
      return await adapter.fetch(request);
    } catch (error) {
      this.#options.log.warn("a container did not answer", { sandboxId: this.#options.sandboxId, error });
      throw new AgentRefusal("sandbox_lost", "the container ended while it worked on this");
    }
  }

  async #look(generation: number): Promise<AgentSandbox> {
    const { store, adapter } = this.#options;
    const state = store.row?.state;
    if (isStale(state, generation)) throw new AgentRefusal("stale_generation", "a newer generation is known");
    if (!state || state.status === "wiped") throw new AgentRefusal("not_found", "no such sandbox in this container");
    if (state.status === "running" && (await adapter.isAlive())) {
      const there = await this.#inside("GET", "").catch(() => undefined);
      if (there) return withSize(there, store.row?.size ?? null);
    }
    return this.#show(state.status === "paused" ? "paused" : "stopped");
  }

  async #run(verb: ContainerVerb, generation: number, start: StartSandbox | null): Promise<AgentSandbox> {
    const { store, adapter } = this.#options;
    const plan = planFor(store.row?.state, verb, generation, await adapter.isAlive());
    if (!plan.ok) throw new AgentRefusal(plan.code, plan.message);
    const before = store.row ?? UNKNOWN;
    // The newest generation is known before anything happens, so that nobody comes in between with an older one.
    const status = verb === "start" ? "running" : verb === "wipe" ? "wiped" : before.state.status;
    store.save({ ...before, state: { generation, status }, start: start ? withoutSource(start) : before.start });
    let shown: AgentSandbox | undefined;
    try {
      for (const step of plan.steps) shown = (await this.#perform(step, plan.after.status, start)) ?? shown;
    } catch (error) {
      // A container that was launched for nothing has nothing to lose.
      if (plan.steps.includes("launch")) await adapter.destroy();
      throw error;
    }
    const row = store.row ?? before;
    if (row.state.status !== plan.after.status) store.save({ ...row, state: plan.after });
    return shown ?? (await this.#look(generation).catch(() => this.#show("stopped")));
  }

  async #perform(
    step: ContainerStep,
    after: ContainerStatus,
    start: StartSandbox | null,
  ): Promise<AgentSandbox | undefined> {
    const { store, adapter } = this.#options;
    const row = store.row as ContainerRow;
    switch (step) {
      case "launch":
        return void (await this.#launch(start ?? row.start, row.saved));
      case "boot":
        this.#usedSinceSave = true;
        return withSize(await this.#inside("PUT", "", bootBody(start ?? row.start, row.saved)), row.size);
      case "halt":
        return void (await this.#inside("DELETE", "?files=keep"));
      case "stand":
        return void (await this.#inside("POST", "/freeze"));
      case "save":
        return void (await this.#saveOrGoOn(row, after));
      case "destroy":
        return void (await adapter.destroy());
      case "forget":
        if (row.saved) await adapter.discard(row.saved.handle);
        return void store.save({ ...row, start: null, saved: null });
      default:
        return step satisfies never;
    }
  }

  async #launch(start: StartSandbox | null, saved: SavedFiles | null): Promise<void> {
    const { adapter, controlKeys, sandboxId, store } = this.#options;
    const { vcpus, memoryMb, diskMb } = start?.limits ?? { vcpus: 0, memoryMb: 0, diskMb: 0 };
    const size = sizeFor({ vcpus, memoryMb, diskMb });
    if (!size) throw new AgentRefusal("start_failed", "the sandbox is larger than the largest container");
    try {
      const env = { CONTROL_KEYS: await controlKeys() };
      const internet = start !== null && isOpen(start.network);
      const words = await adapter.launch({ sandboxId, size: size.name, env, internet, saved });
      if (store.row) store.save({ ...store.row, size: words });
      await untilServing(adapter);
    } catch (error) {
      this.#options.log.error("a container did not start", { sandboxId, error });
      throw new AgentRefusal("start_failed", "the container did not start");
    }
  }

  /** Saves what a container holds before it ends; one that cannot be saved goes on instead. */
  async #saveOrGoOn(row: ContainerRow, after: ContainerStatus): Promise<void> {
    try {
      await this.#save(row, after);
    } catch (error) {
      this.#options.log.error("a container was not saved", { sandboxId: this.#options.sandboxId, error });
      if (after === "paused") await this.#inside("POST", "/thaw").catch(() => undefined);
      throw new AgentRefusal("freeze_failed", "the files of the sandbox could not be saved");
    }
  }

  async #save(row: ContainerRow, status: ContainerStatus): Promise<void> {
    const { store, adapter, log, sandboxId } = this.#options;
    const handle = await adapter.save();
    store.save({ ...row, state: { ...row.state, status }, saved: { at: Date.now(), handle } });
    if (!row.saved) return;
    await adapter.discard(row.saved.handle).catch((error) => log.warn("old files stay", { sandboxId, error }));
  }

  async #inside(method: "GET" | "PUT" | "POST" | "DELETE", rest: string, body?: string): Promise<AgentSandbox> {
    const { adapter, env, sandboxId, store } = this.#options;
    const generation = store.row?.state.generation ?? 0;
    const response = await callInside(adapter, { env, sandboxId, generation, method, rest, body });
    return response === null ? this.#show("stopped") : AgentSandbox.parse(response);
  }

  #show(status: AgentSandbox["status"]): AgentSandbox {
    const { sandboxId: id, store } = this.#options;
    const generation = store.row?.state.generation ?? 0;
    const nothing = { bootMs: null, filling: null, warm: false, network: "off" } as const;
    return { id, generation, status, unenforced: [], ...nothing };
  }

  async #claims(request: Request): Promise<ControlClaims> {
    const { env, sandboxId } = this.#options;
    const claims = await readControlToken(env, request.headers.get("authorization"), CONTAINER_HOST);
    if (claims?.sandboxId !== sandboxId) throw new AgentRefusal("unauthorized", "the token is not valid here");
    return claims;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

const UNKNOWN: ContainerRow = { state: { generation: 0, status: "stopped" }, start: null, saved: null, size: null };

/** The size of a container goes with the name of what isolates the sandbox. */
const withSize = ({ machine, ...sandbox }: AgentSandbox, size: string | null): AgentSandbox => ({
  ...sandbox,
  ...(machine && { machine: { ...machine, isolation: [machine.isolation, size].filter(Boolean).join(" ") } }),
});

type Verb = ContainerVerb | "look";

/** The part of the lifecycle that a call is; undefined for one that the agent inside answers. */
function verbOf(method: string, rest: string, files: string | null): Verb | undefined {
  if (rest === "/freeze" && method === "POST") return "freeze";
  if (rest === "/thaw" && method === "POST") return "thaw";
  if (rest !== "") return undefined;
  if (method === "GET") return "look";
  if (method === "PUT") return "start";
  if (method === "DELETE") return files === "wipe" ? "wipe" : "stop";
  throw new AgentRefusal("invalid", "no such operation");
}

async function startOf(request: Request): Promise<StartSandbox> {
  const body: unknown = await request.json().catch(() => undefined);
  const start = StartSandbox.safeParse(body);
  if (!start.success) throw new AgentRefusal("invalid", "the body must be a StartSandbox");
  return start.data;
}

/** What a sandbox begins with is fetched with a token that must not be kept, and is of no use later. */
const withoutSource = ({ source: _, ...rest }: StartSandbox): StartSandbox => rest;

/** Files that were saved take the place of those a sandbox begins with. */
const bootBody = (start: StartSandbox | null, saved: SavedFiles | null): string =>
  JSON.stringify(start && saved ? withoutSource(start) : start);
