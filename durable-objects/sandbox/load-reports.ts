import type { SandboxSpec } from "#domain/sandbox/ports";
import type { SandboxState } from "#domain/sandbox/state";
import { isSameLoad, type Load, loadOf, NO_LOAD } from "#domain/usage/load";
import type { LoadReport } from "#domain/usage/ports";
import { Outbox } from "#objects/kit/outbox";
import { usagePort } from "#platform/usage/port";

type Effect = { teamId: string } & Omit<LoadReport, "seq">;

/** Tells a sandbox's team what it counts for whenever that changes, in a lane of its own. */
export class LoadReports {
  static readonly MIGRATION = `CREATE TABLE reported_load (one INTEGER PRIMARY KEY CHECK (one = 1),
    running INTEGER NOT NULL, vcpus INTEGER NOT NULL, memory_mb INTEGER NOT NULL)`;
  readonly outbox: Outbox<Effect>;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage, env: Pick<Env, "TEAM">) {
    this.#sql = storage.sql;
    this.outbox = new Outbox(storage, "load", ({ teamId, ...report }, seq) =>
      usagePort(env)
        .of(teamId)
        .report({ ...report, seq }),
    );
  }

  /** Adds a report unless this was reported already; part of the transaction that stores the state. */
  note(spec: SandboxSpec | undefined, { status }: SandboxState, at: number): void {
    if (!spec) return;
    const load = loadOf(status, spec);
    if (isSameLoad(load, this.#reported())) return;
    const { running, vcpus, memoryMb } = load;
    this.#sql.exec("INSERT OR REPLACE INTO reported_load VALUES (1, ?, ?, ?)", running, vcpus, memoryMb);
    this.outbox.add([{ teamId: spec.teamId, sandboxId: spec.id, at, load }]);
  }

  #reported(): Load {
    const columns = "running, vcpus, memory_mb AS memoryMb";
    return this.#sql.exec<Load>(`SELECT ${columns} FROM reported_load`).toArray()[0] ?? NO_LOAD;
  }
}
