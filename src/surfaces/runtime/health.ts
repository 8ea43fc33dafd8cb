import type { z } from "zod";
import { checkStorage } from "#domain/setup/check-storage";
import { operation } from "#http/operation";
import { HealthReport, ReadinessReport } from "#surfaces/runtime/health-shapes";

/** Neither Postgres nor Redis is part of this product; `directory` is D1, where everything is listed. */
const checksOf = (up: boolean) => ({
  postgres: "not_configured" as const,
  redisEvents: "not_configured" as const,
  redisRunQueue: "not_configured" as const,
  directory: up ? ("up" as const) : ("down" as const),
});

/** Runs execute inside their session's object, so there are no workers to list. */
const report = (up: boolean): z.input<typeof HealthReport> => ({
  status: up ? "ok" : "degraded",
  storage: { primary: "sqlite", events: "memory", runQueue: "in_process" },
  process: { mode: "api_embedded_worker", label: "API + embedded worker", execution: "local_inline" },
  sandbox: { provider: "self_hosted", executionModel: "sandbox_hosted", workerPlacement: "inside_sandbox" },
  checks: checksOf(up),
  worker: {
    mode: "embedded",
    draining: false,
    acceptsNewRuns: true,
    sessionSerialBoundary: "session",
    localSlots: [],
    activeWorkers: [],
    summary: { active: 0, healthy: 0, late: 0, busy: 0, embedded: 0, standalone: 0 },
    pool: null,
  },
});

const readiness = (up: boolean): z.input<typeof ReadinessReport> =>
  up
    ? { status: "ready", checks: checksOf(true) }
    : { status: "not_ready", reason: "checks_down", checks: checksOf(false) };

const tag = "Health";

export const healthOperations = [
  operation({
    id: "getHealthReport",
    method: "get",
    path: "/healthz",
    tag,
    summary: "Tell how the server is built and whether its parts work",
    permission: null,
    returns: { status: 200, schema: HealthReport },
    faults: [],
    run: async (ctx) => report(await checkStorage(ctx)),
  }),
  operation({
    id: "getReadinessReport",
    method: "get",
    path: "/readyz",
    tag,
    summary: "Tell whether the server takes requests",
    permission: null,
    returns: { status: 200, schema: ReadinessReport },
    also: [{ status: 503, description: "Not ready" }],
    faults: [],
    run: async (ctx, { outcome }) => {
      const up = await checkStorage(ctx);
      if (!up) outcome.status = 503;
      return readiness(up);
    },
  }),
];
