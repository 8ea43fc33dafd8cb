import { decodePoints, encodePoints } from "#domain/metrics/codec";
import { cutPoints, joinPoints } from "#domain/metrics/points";
import { TIER_MS } from "#domain/metrics/values";
import type { SandboxBackend, SandboxMetrics } from "#domain/sandbox/ports";
import type { SandboxState } from "#domain/sandbox/state";
import { ok, type Result, refuse } from "#kernel/fault";
import { DAY } from "#kernel/time";
import { type AgentMetrics, METRIC_TIERS, type MetricPoint, type MetricTier } from "#protocol/host-agent";

/** How long the last day of a destroyed sandbox is kept (platform R272). */
const KEEP_DESTROYED_MS = 30 * DAY;
const KEPT_OF_DESTROYED: MetricTier = "24h";

/** What was measured of a sandbox until it was last paused or stopped: one row for each tier, each within its window. */
export class KeptMetrics {
  static readonly MIGRATION = "CREATE TABLE metrics (tier TEXT PRIMARY KEY, points BLOB NOT NULL, drop_at INTEGER)";
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  read(tier: MetricTier): MetricPoint[] {
    const [row] = this.#storage.sql
      .exec<{ points: ArrayBuffer }>("SELECT points FROM metrics WHERE tier = ?", tier)
      .toArray();
    return row ? decodePoints(new Uint8Array(row.points)) : [];
  }

  /** Adds what its machine measured since. */
  add(tiers: AgentMetrics["tiers"]): void {
    this.#storage.transactionSync(() => {
      for (const tier of METRIC_TIERS) {
        const points = cutPoints(joinPoints(this.read(tier), tiers[tier] ?? []), TIER_MS[tier]);
        if (points.length === 0) continue;
        this.#storage.sql.exec("INSERT OR REPLACE INTO metrics VALUES (?, ?, NULL)", tier, encodePoints(points));
      }
    });
  }

  /** Leaves of a destroyed sandbox what is kept of it for a while. */
  retire(now: number): void {
    const { sql } = this.#storage;
    sql.exec("DELETE FROM metrics WHERE tier <> ?", KEPT_OF_DESTROYED);
    sql.exec("UPDATE metrics SET drop_at = ? WHERE drop_at IS NULL", now + KEEP_DESTROYED_MS);
  }

  drop(now: number): void {
    this.#storage.sql.exec("DELETE FROM metrics WHERE drop_at <= ?", now);
  }

  /** When something is to be dropped, in milliseconds, or null. */
  dropAt(): number | null {
    return this.#storage.sql.exec<{ at: number | null }>("SELECT MIN(drop_at) AS at FROM metrics").one().at;
  }
}

/**
 * Keeps all that a machine measured of a sandbox, to be called before the sandbox is paused or ends there. A machine that
 * does not answer, or measured nothing, leaves what was kept before; it is asked once and not for long.
 */
export async function keepMetrics(
  kept: KeptMetrics,
  machine: Pick<SandboxBackend, "metrics"> | undefined,
  { id, generation, wiped = false }: { id: string; generation: number; wiped?: boolean },
): Promise<void> {
  const measured = await machine?.metrics(id, generation, "all");
  if (measured?.ok) kept.add(measured.value);
  if (wiped) kept.retire(Date.now());
}

/**
 * A tier of a sandbox that runs, as its machine has it now, or of one that is paused, as it was kept. Earlier lives are
 * part of both. Others have none (platform R270).
 */
export async function readMetrics(
  kept: KeptMetrics,
  machine: Pick<SandboxBackend, "metrics"> | undefined,
  { id, status, generation }: { id: string } & Pick<SandboxState, "status" | "generation">,
  tier: MetricTier,
): Promise<Result<SandboxMetrics>> {
  const before = kept.read(tier);
  if (status === "running" && machine) {
    const measured = await machine.metrics(id, generation, tier);
    return measured.ok ? ok({ points: joinPoints(before, measured.value[tier] ?? []), live: true }) : measured;
  }
  if (status === "paused" && before.length > 0) return ok({ points: before, live: false });
  return refuse("metrics_not_found", `there are no metrics: the sandbox is ${status}`);
}
