import type { Log } from "#kernel/log";
import type { AgentSandbox, SnapshotAnswer, StartSandbox } from "#protocol/host-agent";
import { Failure } from "./failure.ts";
import type { Backend } from "./isolation/backend.ts";
import type { SandboxRecord, SandboxRecords } from "./records.ts";
import type { RunningSandbox } from "./sandbox.ts";
import { asFailure, type Packing, type Snapshots } from "./snapshots/snapshots.ts";
import type { StateFolder } from "./state.ts";

type Options = { backend: Backend; state: StateFolder; log: Log; records: SandboxRecords; snapshots: Snapshots };

/** What sandboxes begin with and what is taken of them: their files on the way in and out. */
export class SandboxFiles {
  readonly #options: Options;
  /** What ends the snapshot that is being taken of a sandbox, or its filling. */
  readonly #transfers = new Map<string, AbortController>();
  readonly #filling = new Map<string, { bytes: number; of: number }>();

  constructor(options: Options) {
    this.#options = options;
  }

  /** How much has come of the files of a sandbox that is being filled. */
  filling(id: string): AgentSandbox["filling"] {
    return this.#filling.get(id) ?? null;
  }

  /** Takes a snapshot; `signal` gives it up. */
  async snapshot(id: string, token: string, packing: Packing, signal: AbortSignal): Promise<SnapshotAnswer> {
    if (this.#transfers.has(id))
      throw new Failure("snapshot_failed", "another snapshot of this sandbox is being taken");
    return this.#transfer(id, signal, (ending) => this.#options.snapshots.take(packing, token, ending));
  }

  /** Packs the files of a running sandbox while it stands still. */
  async pack(id: string, sandbox: RunningSandbox, ...[to, signal]: Parameters<Packing>): ReturnType<Packing> {
    const { backend, state, records } = this.#options;
    const { slot, place } = records.get(id) ?? {};
    const at = place ?? id;
    const files = { id: at, slot: slot ?? 0, workspace: state.workspace(at), limits: sandbox.limits, signal };
    const { value, frozenMs } = await sandbox.standStill(() => backend.pack(files, to));
    return { ...value, frozenMs };
  }

  /** Puts the files of its source into a new sandbox; after a failure or a crash it is as if nothing had come. */
  async fill(record: SandboxRecord, { source, limits }: StartSandbox): Promise<void> {
    const { backend, state, records, snapshots, log } = this.#options;
    const { id, slot } = record;
    const place = record.place ?? id;
    const workspace = state.workspace(place);
    if (record.files === "filling" && !source)
      throw new Failure("start_failed", "the files of the template never came");
    if (record.files === "filling") await backend.erase(place, workspace);
    if (source) {
      records.save({ ...record, files: "filling" });
      try {
        await this.#transfer(id, undefined, (signal) => {
          const archive = snapshots.receive(source, signal, (bytes, of) => this.#filling.set(id, { bytes, of }));
          return backend.unpack({ id: place, slot: slot ?? 0, workspace, limits, signal }, archive);
        });
      } catch (error) {
        await backend.erase(place, workspace);
        records.save({ ...record, files: "none" });
        log.warn("a sandbox could not be filled", { sandbox: id, error });
        throw asFailure(error, "start_failed", "the files of the template did not come");
      } finally {
        this.#filling.delete(id);
      }
    }
    records.save({ ...record, files: "there" });
  }

  /** Breaks off what is under way with a sandbox's files. */
  end(id: string): void {
    this.#transfers.get(id)?.abort(new Failure("sandbox_not_running", "the sandbox was stopped"));
  }

  /** Breaks off everything. */
  close(): void {
    for (const ending of this.#transfers.values()) ending.abort(new Error("this host is shutting down"));
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
}
