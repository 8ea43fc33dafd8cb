import { release } from "node:os";
import type { Log } from "#kernel/log";
import type {
  AgentMetrics,
  AgentSandbox,
  AgentWarm,
  MetricTier,
  SandboxSetup,
  SnapshotAnswer,
  StartSandbox,
} from "#protocol/host-agent";
import { VERSION } from "./config.ts";
import { Failure } from "./failure.ts";
import type { Backend } from "./isolation/backend.ts";
import { ProcessTable } from "./isolation/process-list.ts";
import { SAMPLE_MS } from "./metrics/tiers.ts";
import { isSparePlace, WarmPool } from "./pool.ts";
import { SandboxRecords } from "./records.ts";
import { boot, type RunningSandbox } from "./sandbox.ts";
import { SandboxFiles } from "./sandbox-files.ts";
import { setUp } from "./setup.ts";
import type { Packing, Snapshots } from "./snapshots/snapshots.ts";
import type { StateFolder } from "./state.ts";
import { Turns } from "./turns.ts";

/** A sandbox that ended, the lease it had, and why in words for people. */
export type EndedSandbox = { id: string; generation: number; why: string };

/** `warm` is how many spare sandboxes of a kind are kept ready; none unless told. */
type Options = {
  backend: Backend;
  state: StateFolder;
  log: Log;
  slots: number;
  snapshots: Snapshots;
  warm?: number;
  /** Told of a sandbox that ended although nobody asked for it. */
  onEnd?: (ended: EndedSandbox) => void;
};

/** The sandboxes of this machine: their records, the running ones, and the fence of generations. */
export class Sandboxes {
  readonly #backend: Backend;
  readonly #state: StateFolder;
  readonly #log: Log;
  readonly #slots: number;
  readonly #onEnd: (ended: EndedSandbox) => void;
  readonly #records: SandboxRecords;
  readonly #running = new Map<string, RunningSandbox>();
  readonly #turns = new Turns();
  readonly #sampling: NodeJS.Timeout;
  readonly #pool: WarmPool;
  readonly #files: SandboxFiles;

  constructor({ backend, state, log, slots, snapshots, warm = 0, onEnd = () => {} }: Options) {
    this.#backend = backend;
    this.#state = state;
    this.#log = log;
    this.#slots = slots;
    this.#onEnd = onEnd;
    this.#records = new SandboxRecords(state);
    this.#files = new SandboxFiles({ backend, state, log, records: this.#records, snapshots });
    this.#pool = new WarmPool({
      size: warm,
      log,
      freeSlot: () => this.#freeSlots().next().value ?? undefined,
      boot: (id, slot, wanted) => boot(backend, { id, slot, workspace: state.workspace(id), generation: 0, ...wanted }),
      erase: (place) => backend.erase(place, state.workspace(place)),
    });
    this.#sampling = setInterval(() => this.#sample(), SAMPLE_MS).unref();
  }

  get count(): number {
    return this.#running.size;
  }

  get warm(): AgentWarm {
    return this.#pool.counts;
  }

  /** Erases the spares of an earlier life, of which nothing may run any more, and begins to make new ones. */
  async warmUp(): Promise<void> {
    const taken = new Set(this.#records.all.map(({ place }) => place));
    const left = this.#state.places().filter((place) => isSparePlace(place) && !taken.has(place));
    await Promise.all(left.map((place) => this.#backend.erase(place, this.#state.workspace(place))));
    this.#pool.fill();
  }

  /** Starts a sandbox unless this generation of it runs; an older one is ended first, its files stay. */
  start(id: string, generation: number, wanted: StartSandbox): Promise<AgentSandbox> {
    return this.#turns.take(id, async () => {
      const record = this.#records.fence(id, generation);
      const running = this.#running.get(id);
      if (running && running.generation === generation) return this.#show(id, generation);
      if (running) await this.#end(id);
      const { source, setup, ...kind } = wanted;
      const spare = record || source ? undefined : this.#pool.take(kind);
      const slot = spare?.slot ?? record?.slot ?? this.#freeSlot();
      const place = spare?.place ?? record?.place ?? null;
      const files = spare ? "there" : (record?.files ?? "none");
      const started = { id, generation, slot, place, files, wipedAt: null };
      this.#records.save(started);
      if (files !== "there") await this.#files.fill(started, wanted);
      await this.#boot(id, setup, async () => {
        const input = { id: place ?? id, slot, workspace: this.#state.workspace(place ?? id), generation, ...kind };
        return spare?.sandbox.assign(generation) ?? boot(this.#backend, input);
      });
      return this.#show(id, generation);
    });
  }

  /** The state of a sandbox; `not_found` when this machine has none of this id. */
  get(id: string, generation: number): AgentSandbox {
    const record = this.#records.fence(id, generation);
    if (!record || record.wipedAt !== null) throw new Failure("not_found", "no such sandbox on this host");
    return this.#show(id, record.generation);
  }

  /** Ends a sandbox, and with `wipe` deletes its files. One that is unknown or ended already is fine. */
  stop(id: string, generation: number, files: "keep" | "wipe"): Promise<void> {
    this.#records.fence(id, generation);
    this.#files.end(id);
    return this.#turns.take(id, async () => {
      const record = this.#records.fence(id, generation);
      await this.#end(id);
      const place = record?.place ?? id;
      if (files === "wipe") await this.#backend.erase(place, this.#state.workspace(place));
      const wiped = files === "wipe" || !record || record.wipedAt !== null;
      const slot = wiped ? null : (record?.slot ?? null);
      const wipedAt = wiped ? Date.now() : null;
      const left = wiped ? "none" : (record?.files ?? "none");
      this.#records.save({ id, generation, slot, place: record?.place ?? null, files: left, wipedAt });
      this.#records.forgetWiped();
    });
  }

  /** Takes a snapshot of the files of a running sandbox, which goes on; `signal` gives it up. */
  snapshot(id: string, generation: number, token: string, signal: AbortSignal): Promise<SnapshotAnswer> {
    const pack: Packing = (...how) =>
      this.#turns.take(id, async () => {
        const sandbox = this.#current(id, generation);
        if (sandbox.isFrozen) throw new Failure("sandbox_paused", "this sandbox is paused");
        return this.#files.pack(id, sandbox, ...how);
      });
    return this.#files.snapshot(id, token, pack, signal);
  }

  /** Stops all processes of a sandbox where they are. */
  freeze(id: string, generation: number): Promise<AgentSandbox> {
    return this.#turns.take(id, async () => {
      await this.#current(id, generation)
        .freeze()
        .catch((error) => {
          throw new Failure("freeze_failed", error instanceof Error ? error.message : "the sandbox did not stop");
        });
      return this.#show(id, generation);
    });
  }

  /** Lets a frozen sandbox go on. */
  thaw(id: string, generation: number): Promise<AgentSandbox> {
    return this.#turns.take(id, async () => {
      this.#current(id, generation).thaw();
      return this.#show(id, generation);
    });
  }

  /**
   * The running sandbox a caller may use: its generation must be the caller's, and it must not be frozen. One that stands
   * still for a snapshot is waited for.
   */
  async running(id: string, generation: number): Promise<RunningSandbox> {
    await this.#current(id, generation).moving();
    const sandbox = this.#current(id, generation);
    if (sandbox.isFrozen) throw new Failure("sandbox_paused", "this sandbox is paused");
    return sandbox;
  }

  /**
   * What was measured of a sandbox since it started, be it frozen or not. A newer generation may ask too: its first act may
   * be to end the one that runs, and what was measured ends with that.
   */
  metrics(id: string, generation: number, tiers: readonly MetricTier[]): AgentMetrics {
    this.#records.fence(id, generation);
    const running = this.#running.get(id);
    if (!running) throw new Failure("sandbox_not_running", "this sandbox does not run here");
    return running.metrics.read(tiers);
  }

  #sample(): void {
    let table: ProcessTable | undefined;
    const processes = () => {
      table ??= ProcessTable.read();
      return table;
    };
    for (const sandbox of this.#running.values()) if (!sandbox.isFrozen) sandbox.metrics.sample(processes);
  }

  #current(id: string, generation: number): RunningSandbox {
    this.#records.fence(id, generation);
    const running = this.#running.get(id);
    if (!running || running.generation !== generation) {
      throw new Failure("sandbox_not_running", "this sandbox does not run here");
    }
    return running;
  }

  /** Ends everything; no sandbox starts from then on. */
  async close(): Promise<void> {
    this.#turns.close();
    this.#files.close();
    clearInterval(this.#sampling);
    await this.#pool.close();
    await this.#turns.over();
    await Promise.all([...this.#running.keys()].map((id) => this.#end(id)));
  }

  async #end(id: string): Promise<void> {
    const sandbox = this.#running.get(id);
    this.#running.delete(id);
    await sandbox?.stop();
  }

  async #boot(id: string, setup: SandboxSetup | undefined, start: () => Promise<RunningSandbox>): Promise<void> {
    let sandbox: RunningSandbox | undefined;
    try {
      sandbox = await start();
      sandbox.belongTo(id);
      if (setup) await setUp(sandbox, setup, this.#log.with({ sandbox: id }));
      this.#adopt(id, sandbox);
    } catch (error) {
      await sandbox?.stop();
      this.#log.error("a sandbox did not start", { sandbox: id, error });
      throw new Failure("start_failed", error instanceof Error ? error.message : "the sandbox did not start");
    }
  }

  #adopt(id: string, sandbox: RunningSandbox): void {
    this.#running.set(id, sandbox);
    this.#log.info("a sandbox runs", { sandbox: id, warm: sandbox.warm, bootMs: sandbox.bootMs });
    void sandbox.exited.then((why) => this.#noteEnd(id, sandbox, why));
  }

  /** Sandboxes that this machine has the files of, and the lease of each. */
  get kept(): Pick<EndedSandbox, "id" | "generation">[] {
    return this.#records.all.filter(({ wipedAt }) => wipedAt === null);
  }

  /** Tidies up after a sandbox that ended by itself, before it can start again. */
  #noteEnd(id: string, sandbox: RunningSandbox, why: string): void {
    if (this.#running.get(id) !== sandbox) return;
    this.#running.delete(id);
    this.#log.warn("a sandbox ended by itself", { sandbox: id, why });
    if (!this.#turns.isClosed) this.#onEnd({ id, generation: sandbox.generation, why });
    this.#turns
      .take(id, () => sandbox.stop())
      .catch((error) => this.#log.error("a sandbox was not tidied up", { error }));
  }

  #show(id: string, generation: number): AgentSandbox {
    const running = this.#running.get(id);
    return {
      id,
      generation,
      status: running ? (running.isFrozen ? "paused" : "running") : "stopped",
      bootMs: running?.bootMs ?? null,
      filling: this.#files.filling(id),
      warm: running?.warm ?? false,
      unenforced: [...this.#backend.unenforced, ...(running?.notes ?? [])],
      network: running?.network ?? "off",
      machine: {
        ...{ kernel: release(), agent: VERSION, supervisor: VERSION },
        isolation: [this.#backend.kind, this.#backend.version].filter(Boolean).join(" "),
      },
    };
  }

  *#freeSlots(): Generator<number, undefined> {
    const taken = new Set([...this.#records.all.map(({ slot }) => slot), ...this.#pool.slots]);
    for (let slot = 0; slot < this.#slots; slot++) if (!taken.has(slot)) yield slot;
  }

  #freeSlot(): number {
    for (const slot of this.#freeSlots()) return slot;
    throw new Failure("start_failed", "this host keeps as many sandboxes as it has users for");
  }
}
