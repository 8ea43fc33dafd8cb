import { release } from "node:os";
import { z } from "zod";
import type { Log } from "#kernel/log";
import { HOUR } from "#kernel/time";
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
import { boot, type RunningSandbox } from "./sandbox.ts";
import { setUp } from "./setup.ts";
import { asFailure, type Packing, type Snapshots } from "./snapshots/snapshots.ts";
import type { StateFolder } from "./state.ts";

/**
 * What outlives the agent. `slot` is the sandbox's user; a wiped one has none and is kept to fence old tokens. `place`
 * names its files and groups; null means that they bear its id, as those of every sandbox that was no spare do. `files`
 * tells whether they are those it shall begin with: ones that are still coming are not used.
 */
const SandboxRecord = z.object({
  id: z.string(),
  generation: z.int(),
  slot: z.int().nullable(),
  place: z.string().nullable().default(null),
  files: z.enum(["none", "filling", "there"]).default("there"),
  wipedAt: z.int().nullable(),
});
type SandboxRecord = z.infer<typeof SandboxRecord>;

/** Far longer than any token lives. */
const FENCE_KEPT_MS = HOUR;
const FOLDER = "sandboxes";

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
  readonly #records = new Map<string, SandboxRecord>();
  readonly #running = new Map<string, RunningSandbox>();
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #sampling: NodeJS.Timeout;
  readonly #pool: WarmPool;
  readonly #snapshots: Snapshots;
  /** What ends the snapshot that is being taken of a sandbox, or its filling. */
  readonly #transfers = new Map<string, AbortController>();
  readonly #filling = new Map<string, { bytes: number; of: number }>();
  #closed = false;

  constructor({ backend, state, log, slots, snapshots, warm = 0, onEnd = () => {} }: Options) {
    this.#snapshots = snapshots;
    this.#backend = backend;
    this.#state = state;
    this.#log = log;
    this.#slots = slots;
    this.#onEnd = onEnd;
    this.#pool = new WarmPool({
      size: warm,
      log,
      freeSlot: () => this.#freeSlots().next().value ?? undefined,
      boot: (id, slot, wanted) => boot(backend, { id, slot, workspace: state.workspace(id), generation: 0, ...wanted }),
      erase: (place) => backend.erase(place, state.workspace(place)),
    });
    for (const name of state.names(FOLDER)) {
      const record = SandboxRecord.safeParse(state.read(`${FOLDER}/${name}`));
      if (!record.success) continue;
      this.#records.set(record.data.id, record.data);
    }
    this.#forgetWiped();
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
    const taken = new Set([...this.#records.values()].map(({ place }) => place));
    const left = this.#state.places().filter((place) => isSparePlace(place) && !taken.has(place));
    await Promise.all(left.map((place) => this.#backend.erase(place, this.#state.workspace(place))));
    this.#pool.fill();
  }

  /** Starts a sandbox unless this generation of it runs; an older one is ended first, its files stay. */
  start(id: string, generation: number, wanted: StartSandbox): Promise<AgentSandbox> {
    return this.#inTurn(id, async () => {
      const record = this.#fence(id, generation);
      const running = this.#running.get(id);
      if (running && running.generation === generation) return this.#show(id, generation);
      if (running) await this.#end(id);
      const { source, setup, ...kind } = wanted;
      const spare = record || source ? undefined : this.#pool.take(kind);
      const slot = spare?.slot ?? record?.slot ?? this.#freeSlot();
      const place = spare?.place ?? record?.place ?? null;
      const files = spare ? "there" : (record?.files ?? "none");
      const started = { id, generation, slot, place, files, wipedAt: null };
      this.#save(started);
      if (files !== "there") await this.#fill(started, wanted);
      await this.#boot(id, setup, async () => {
        const input = { id: place ?? id, slot, workspace: this.#state.workspace(place ?? id), generation, ...kind };
        return spare?.sandbox.assign(generation) ?? boot(this.#backend, input);
      });
      return this.#show(id, generation);
    });
  }

  /** The state of a sandbox; `not_found` when this machine has none of this id. */
  get(id: string, generation: number): AgentSandbox {
    const record = this.#fence(id, generation);
    if (!record || record.wipedAt !== null) throw new Failure("not_found", "no such sandbox on this host");
    return this.#show(id, record.generation);
  }

  /** Ends a sandbox, and with `wipe` deletes its files. One that is unknown or ended already is fine. */
  stop(id: string, generation: number, files: "keep" | "wipe"): Promise<void> {
    this.#fence(id, generation);
    this.#transfers.get(id)?.abort(new Failure("sandbox_not_running", "the sandbox was stopped"));
    return this.#inTurn(id, async () => {
      const record = this.#fence(id, generation);
      await this.#end(id);
      const place = record?.place ?? id;
      if (files === "wipe") await this.#backend.erase(place, this.#state.workspace(place));
      const wiped = files === "wipe" || !record || record.wipedAt !== null;
      const slot = wiped ? null : (record?.slot ?? null);
      const wipedAt = wiped ? Date.now() : null;
      const left = wiped ? "none" : (record?.files ?? "none");
      this.#save({ id, generation, slot, place: record?.place ?? null, files: left, wipedAt });
      this.#forgetWiped();
    });
  }

  /** Takes a snapshot of the files of a running sandbox, which goes on; `signal` gives it up. */
  async snapshot(id: string, generation: number, token: string, signal: AbortSignal): Promise<SnapshotAnswer> {
    if (this.#transfers.has(id))
      throw new Failure("snapshot_failed", "another snapshot of this sandbox is being taken");
    return this.#transfer(id, signal, (ending) => this.#snapshots.take(this.#packing(id, generation), token, ending));
  }

  #packing =
    (id: string, generation: number): Packing =>
    (to, signal) =>
      this.#inTurn(id, async () => {
        const sandbox = this.#current(id, generation);
        if (sandbox.isFrozen) throw new Failure("sandbox_paused", "this sandbox is paused");
        const { slot, place } = this.#records.get(id) ?? {};
        const at = place ?? id;
        const files = { id: at, slot: slot ?? 0, workspace: this.#state.workspace(at), limits: sandbox.limits, signal };
        const { value, frozenMs } = await sandbox.standStill(() => this.#backend.pack(files, to));
        return { ...value, frozenMs };
      });

  /** Puts the files of its source into a new sandbox; after a failure or a crash it is as if nothing had come. */
  async #fill(record: SandboxRecord, { source, limits }: StartSandbox): Promise<void> {
    const { id, slot } = record;
    const place = record.place ?? id;
    const workspace = this.#state.workspace(place);
    if (record.files === "filling" && !source)
      throw new Failure("start_failed", "the files of the template never came");
    if (record.files === "filling") await this.#backend.erase(place, workspace);
    if (source) {
      this.#save({ ...record, files: "filling" });
      try {
        await this.#transfer(id, undefined, (signal) => {
          const archive = this.#snapshots.receive(source, signal, (bytes, of) => this.#filling.set(id, { bytes, of }));
          return this.#backend.unpack({ id: place, slot: slot ?? 0, workspace, limits, signal }, archive);
        });
      } catch (error) {
        await this.#backend.erase(place, workspace);
        this.#save({ ...record, files: "none" });
        this.#log.warn("a sandbox could not be filled", { sandbox: id, error });
        throw asFailure(error, "start_failed", "the files of the template did not come");
      } finally {
        this.#filling.delete(id);
      }
    }
    this.#save({ ...record, files: "there" });
  }

  /** Work on a sandbox's files that its end, or the agent's, cuts short. */
  async #transfer<T>(
    id: string,
    asked: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const ending = new AbortController();
    this.#transfers.set(id, ending);
    try {
      return await work(asked ? AbortSignal.any([asked, ending.signal]) : ending.signal);
    } finally {
      this.#transfers.delete(id);
    }
  }

  /** Stops all processes of a sandbox where they are. */
  freeze(id: string, generation: number): Promise<AgentSandbox> {
    return this.#inTurn(id, async () => {
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
    return this.#inTurn(id, async () => {
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
    this.#fence(id, generation);
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
    this.#fence(id, generation);
    const running = this.#running.get(id);
    if (!running || running.generation !== generation) {
      throw new Failure("sandbox_not_running", "this sandbox does not run here");
    }
    return running;
  }

  /** Ends everything; no sandbox starts from then on. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const ending of this.#transfers.values()) ending.abort(new Error("this host is shutting down"));
    clearInterval(this.#sampling);
    await this.#pool.close();
    await Promise.all([...this.#turns.values()]);
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
      if (setup) await setUp(sandbox, setup, this.#log.with({ sandbox: id }));
      this.#adopt(id, sandbox);
    } catch (error) {
      await sandbox?.stop();
      this.#log.error("a sandbox did not start", { sandbox: id, error });
      throw new Failure("start_failed", error instanceof Error ? error.message : "the sandbox did not start");
    }
  }

  #adopt(id: string, sandbox: RunningSandbox): void {
    sandbox.belongTo(id);
    this.#running.set(id, sandbox);
    this.#log.info("a sandbox runs", { sandbox: id, warm: sandbox.warm, bootMs: sandbox.bootMs });
    void sandbox.exited.then((why) => this.#noteEnd(id, sandbox, why));
  }

  /** Sandboxes that this machine has the files of, and the lease of each. */
  get kept(): Pick<EndedSandbox, "id" | "generation">[] {
    return [...this.#records.values()].filter(({ wipedAt }) => wipedAt === null);
  }

  /** Tidies up after a sandbox that ended by itself, before it can start again. */
  #noteEnd(id: string, sandbox: RunningSandbox, why: string): void {
    if (this.#running.get(id) !== sandbox) return;
    this.#running.delete(id);
    this.#log.warn("a sandbox ended by itself", { sandbox: id, why });
    if (!this.#closed) this.#onEnd({ id, generation: sandbox.generation, why });
    this.#inTurn(id, () => sandbox.stop()).catch((error) => this.#log.error("a sandbox was not tidied up", { error }));
  }

  #show(id: string, generation: number): AgentSandbox {
    const running = this.#running.get(id);
    return {
      id,
      generation,
      status: running ? (running.isFrozen ? "paused" : "running") : "stopped",
      bootMs: running?.bootMs ?? null,
      filling: this.#filling.get(id) ?? null,
      warm: running?.warm ?? false,
      unenforced: [...this.#backend.unenforced, ...(running?.notes ?? [])],
      network: running?.network ?? "off",
      machine: {
        ...{ kernel: release(), agent: VERSION, supervisor: VERSION },
        isolation: [this.#backend.kind, this.#backend.version].filter(Boolean).join(" "),
      },
    };
  }

  #fence(id: string, generation: number): SandboxRecord | undefined {
    const record = this.#records.get(id);
    if (record && generation < record.generation) {
      throw new Failure("stale_generation", "a newer generation of this sandbox is known");
    }
    return record;
  }

  #save(record: SandboxRecord): void {
    this.#state.write(`${FOLDER}/${record.id}`, record);
    this.#records.set(record.id, record);
  }

  /** Records of wiped sandboxes go once no token for them can be valid any more. */
  #forgetWiped(): void {
    for (const { id, wipedAt } of [...this.#records.values()]) {
      if (wipedAt === null || wipedAt > Date.now() - FENCE_KEPT_MS) continue;
      this.#state.remove(`${FOLDER}/${id}`);
      this.#records.delete(id);
    }
  }

  *#freeSlots(): Generator<number, undefined> {
    const taken = new Set([...[...this.#records.values()].map(({ slot }) => slot), ...this.#pool.slots]);
    for (let slot = 0; slot < this.#slots; slot++) if (!taken.has(slot)) yield slot;
  }

  #freeSlot(): number {
    for (const slot of this.#freeSlots()) return slot;
    throw new Failure("start_failed", "this host keeps as many sandboxes as it has users for");
  }

  /** Lifecycle calls of one sandbox happen one after the other. */
  #inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(id) ?? Promise.resolve();
    const turn = before.then(() => {
      if (this.#closed) throw new Failure("sandbox_not_running", "this host is shutting down");
      return work();
    });
    const settled = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(id, settled);
    void settled.then(() => this.#turns.get(id) === settled && this.#turns.delete(id));
    return turn;
  }
}
