import { idleAt } from "#domain/sandbox/idle";
import type { SandboxSpec } from "#domain/sandbox/ports";
import { initialSandbox, type SandboxState } from "#domain/sandbox/state";
import { Outbox } from "#objects/kit/outbox";
import { LoadReports } from "#objects/sandbox/load-reports";
import { KeptMetrics } from "#objects/sandbox/metrics";
import type { SandboxSetup } from "#protocol/host-agent";

export const SANDBOX_MIGRATIONS = [
  `CREATE TABLE sandbox (one INTEGER PRIMARY KEY CHECK (one = 1), spec TEXT NOT NULL, state TEXT NOT NULL,
    last_active_at INTEGER)`,
  Outbox.MIGRATION,
  LoadReports.MIGRATION,
  KeptMetrics.MIGRATION,
];

/** What a sandbox's object keeps: one row, and its copy in memory that reads use. */
export class SandboxStore {
  readonly #storage: DurableObjectStorage;
  spec: SandboxSpec | undefined;
  state: SandboxState = initialSandbox;
  lastActiveAt: number | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  load(): void {
    const [row] = this.#storage.sql
      .exec<{ spec: string; state: string; last_active_at: number | null }>("SELECT * FROM sandbox")
      .toArray();
    if (!row) return;
    this.spec = JSON.parse(row.spec) as SandboxSpec;
    this.state = { ...initialSandbox, ...(JSON.parse(row.state) as SandboxState) };
    this.lastActiveAt = row.last_active_at;
  }

  /** When it will have been idle for too long; null for never. */
  get idleAt(): number | null {
    return idleAt(this.state, this.spec?.timeoutSec ?? 0, this.lastActiveAt);
  }

  /** Keeps the first spec it is given. */
  adopt(spec: SandboxSpec): void {
    if (this.spec) return;
    this.state = { ...this.state, disposable: spec.disposable };
    this.#storage.sql.exec(
      "INSERT INTO sandbox (one, spec, state) VALUES (1, ?, ?)",
      JSON.stringify(spec),
      JSON.stringify(this.state),
    );
    this.spec = spec;
  }

  /** Keeps what the template leaves to run in it, which may be gone by the next start. */
  keepSetup(setup: SandboxSetup): void {
    if (!this.spec) return;
    const spec = { ...this.spec, setup };
    this.#storage.sql.exec("UPDATE sandbox SET spec = ?", JSON.stringify(spec));
    this.spec = spec;
  }

  /** Writes the row only; the caller sets `state` once its transaction is through. */
  save(state: SandboxState): void {
    this.#storage.sql.exec("UPDATE sandbox SET state = ?", JSON.stringify(state));
  }

  noteActivity(at: number): void {
    this.#storage.sql.exec("UPDATE sandbox SET last_active_at = ?", at);
    this.lastActiveAt = at;
  }
}
