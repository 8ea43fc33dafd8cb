import { z } from "zod";
import { Timestamp } from "#surfaces/runtime/values";

/** The health schemas of appendix B. Most describe a pool of worker processes, which this product has not. */
const count = z.int().min(0);
const maybe = count.optional();
const ratio = z.number().min(0);

const ProcessKind = z.enum(["embedded", "standalone"]).meta({ id: "WorkerProcessKind" });
const WorkerState = z.enum(["starting", "idle", "busy", "stopping"]).meta({ id: "WorkerState" });
const current = {
  currentSessionId: z.string().optional(),
  currentRunId: z.string().optional(),
  currentWorkspaceId: z.string().optional(),
};
const WorkerSlot = z
  .object({ slotId: z.string(), workerId: z.string(), processKind: ProcessKind, state: WorkerState, ...current })
  .meta({ id: "WorkerSlot" });
const WorkerLease = z
  .object({
    workerId: z.string(),
    processKind: ProcessKind,
    state: WorkerState,
    lastSeenAt: Timestamp,
    leaseTtlMs: count,
    expiresAt: Timestamp,
    lastSeenAgeMs: count,
    health: z.enum(["healthy", "late"]),
    ...current,
  })
  .meta({ id: "WorkerLease" });
const WorkerSummary = z
  .object({ active: count, healthy: count, late: count, busy: count, embedded: count, standalone: count })
  .meta({ id: "WorkerSummary" });
const DecisionReason = z.enum(["startup", "steady", "scale_up", "scale_down", "cooldown_hold", "shutdown"]);

const load = {
  globalSuggestedWorkers: maybe,
  availableIdleCapacity: maybe,
  readySessionsPerActiveWorker: ratio.optional(),
  globalActiveWorkers: maybe,
  globalBusyWorkers: maybe,
  remoteActiveWorkers: maybe,
  remoteBusyWorkers: maybe,
  readySessionCount: maybe,
  readyQueueDepth: maybe,
  uniqueReadySessionCount: maybe,
  subagentReadySessionCount: maybe,
  subagentReadyQueueDepth: maybe,
  lockedReadySessionCount: maybe,
  staleReadySessionCount: maybe,
  oldestSchedulableReadyAgeMs: maybe,
};
const PoolDecision = z
  .object({
    timestamp: Timestamp,
    reason: DecisionReason,
    suggestedWorkers: count,
    reservedSubagentCapacity: maybe,
    reservedWorkers: maybe,
    subagentReserveTarget: maybe,
    subagentReserveDeficit: maybe,
    desiredWorkers: count,
    activeWorkers: count,
    busyWorkers: maybe,
    ...load,
  })
  .meta({ id: "WorkerPoolDecision" });
const WorkerPool = z
  .object({
    ...load,
    availableIdleCapacity: count,
    running: z.boolean(),
    processKind: ProcessKind,
    sessionSerialBoundary: z.literal("session"),
    minWorkers: count,
    maxWorkers: count,
    suggestedWorkers: count,
    reservedSubagentCapacity: count,
    reservedWorkers: count,
    subagentReserveTarget: count,
    subagentReserveDeficit: count,
    desiredWorkers: count,
    slotCapacity: count,
    slots: z.array(WorkerSlot),
    activeWorkers: count,
    busySlots: count,
    idleSlots: count,
    busyWorkers: count,
    idleWorkers: count,
    readySessionsPerCapacityUnit: z.int().min(1),
    scaleIntervalMs: count,
    scaleUpCooldownMs: count,
    scaleDownCooldownMs: count,
    scaleUpSampleSize: z.int().min(1),
    scaleDownSampleSize: z.int().min(1),
    scaleUpBusyRatioThreshold: z.number().min(0).max(1),
    scaleUpMaxReadyAgeMs: count,
    lastRebalanceAt: Timestamp.optional(),
    lastRebalanceReason: DecisionReason.optional(),
    scaleUpPressureStreak: count,
    scaleDownPressureStreak: count,
    scaleUpCooldownRemainingMs: count,
    scaleDownCooldownRemainingMs: count,
    recentDecisions: z.array(PoolDecision),
  })
  .meta({ id: "WorkerPool" });

const CheckStatus = z.enum(["up", "down", "not_configured"]).meta({ id: "HealthCheckStatus" });
const HealthChecks = z
  .object({ postgres: CheckStatus, redisEvents: CheckStatus, redisRunQueue: CheckStatus, directory: CheckStatus })
  .meta({ id: "HealthChecks" });

export const HealthReport = z
  .object({
    status: z.enum(["ok", "degraded"]),
    storage: z.object({
      primary: z.enum(["postgres", "sqlite"]),
      events: z.enum(["redis", "memory"]),
      runQueue: z.enum(["redis", "in_process"]),
    }),
    process: z.object({
      mode: z.enum(["api_embedded_worker", "api_only", "standalone_worker"]),
      label: z.enum(["API + embedded worker", "API only", "standalone worker"]),
      execution: z.enum(["redis_queue", "local_inline", "none"]),
    }),
    sandbox: z.object({
      provider: z.enum(["embedded", "self_hosted", "e2b"]),
      executionModel: z.enum(["local_embedded", "sandbox_hosted"]),
      workerPlacement: z.enum(["api_process", "inside_sandbox"]),
    }),
    checks: HealthChecks,
    worker: z.object({
      mode: z.enum(["embedded", "external", "disabled"]),
      draining: z.boolean(),
      acceptsNewRuns: z.boolean(),
      sessionSerialBoundary: z.literal("session"),
      localSlots: z.array(WorkerSlot),
      activeWorkers: z.array(WorkerLease),
      summary: WorkerSummary,
      pool: z.union([WorkerPool, z.null()]),
    }),
  })
  .meta({ id: "HealthReport" });

export const ReadinessReport = z
  .object({
    status: z.enum(["ready", "not_ready"]),
    reason: z.enum(["draining", "worker_disk_pressure", "redis_ready_queue_pressure", "checks_down"]).optional(),
    checks: HealthChecks,
  })
  .meta({ id: "ReadinessReport" });
