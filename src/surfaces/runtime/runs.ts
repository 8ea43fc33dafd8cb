import { z } from "zod";
import { cancelRun } from "#domain/session/cancel-run";
import { getRun } from "#domain/session/get-run";
import { guideRun } from "#domain/session/guide-run";
import { listRunSteps } from "#domain/session/list-run-steps";
import { RUN_STATUSES, type Run, type RunStep, STEP_STATUSES, STEP_TYPES } from "#domain/session/values";
import { shownWorkspaceId } from "#domain/workspace/values";
import { operation } from "#http/operation";
import { OffsetQuery } from "#http/query";
import { offsetPage } from "#kernel/page";
import { iso } from "#kernel/time";
import { Id, isoOrAbsent, JsonObject, orAbsent, pageOf, Timestamp } from "#surfaces/runtime/values";

const RunResource = z
  .object({
    id: Id,
    workspaceId: Id,
    sessionId: Id.optional(),
    parentRunId: Id.optional(),
    initiatorRef: z.string().optional(),
    triggerType: z.enum(["message", "manual_action", "api_action", "hook", "system"]),
    triggerRef: z.string().optional(),
    agentName: z.string().optional(),
    effectiveAgentName: z.string(),
    switchCount: z.int().min(0).optional(),
    status: z.enum(RUN_STATUSES),
    cancelRequestedAt: Timestamp.optional(),
    startedAt: Timestamp.optional(),
    heartbeatAt: Timestamp.optional(),
    endedAt: Timestamp.optional(),
    createdAt: Timestamp,
    errorCode: z.string().optional(),
    errorMessage: z.string().optional(),
    metadata: JsonObject.optional(),
  })
  .meta({ id: "Run" });

const StepResource = z
  .object({
    id: Id,
    runId: Id,
    seq: z.int().min(1),
    stepType: z.enum(STEP_TYPES),
    name: z.string().optional(),
    agentName: z.string().optional(),
    status: z.enum(STEP_STATUSES),
    input: JsonObject.optional(),
    output: JsonObject.optional(),
    startedAt: Timestamp.optional(),
    endedAt: Timestamp.optional(),
  })
  .meta({ id: "RunStep" });

const toResource = (run: Run): z.input<typeof RunResource> => ({
  id: run.id,
  workspaceId: shownWorkspaceId(run.workspaceId),
  sessionId: run.sessionId,
  parentRunId: orAbsent(run.parentRunId),
  initiatorRef: run.initiatorRef,
  triggerType: run.triggerType,
  triggerRef: orAbsent(run.triggerRef),
  agentName: run.agentName,
  effectiveAgentName: run.effectiveAgentName,
  switchCount: run.switchCount,
  status: run.status,
  cancelRequestedAt: isoOrAbsent(run.cancelRequestedAt),
  startedAt: isoOrAbsent(run.startedAt),
  heartbeatAt: isoOrAbsent(run.heartbeatAt),
  endedAt: isoOrAbsent(run.endedAt),
  createdAt: iso(run.createdAt),
  errorCode: orAbsent(run.errorCode),
  errorMessage: orAbsent(run.errorMessage),
  metadata: orAbsent(run.metadata),
});

const toStep = (step: RunStep): z.input<typeof StepResource> => ({
  id: step.id,
  runId: step.runId,
  seq: step.seq,
  stepType: step.stepType,
  name: orAbsent(step.name),
  agentName: orAbsent(step.agentName),
  status: step.status,
  input: orAbsent(step.input),
  output: orAbsent(step.output),
  startedAt: isoOrAbsent(step.startedAt),
  endedAt: isoOrAbsent(step.endedAt),
});

const tag = "Runs";
const params = z.object({ runId: Id });

export const runOperations = [
  operation({
    id: "getRun",
    method: "get",
    path: "/api/v1/runs/{runId}",
    tag,
    summary: "Show a run",
    permission: "session:read",
    params,
    returns: { status: 200, schema: RunResource },
    faults: ["run_not_found"],
    run: async (ctx, { params }) => toResource(await getRun(ctx, params.runId)),
  }),
  operation({
    id: "listRunSteps",
    method: "get",
    path: "/api/v1/runs/{runId}/steps",
    tag,
    summary: "List the steps of a run in order",
    permission: "session:read",
    params,
    query: OffsetQuery,
    returns: { status: 200, schema: pageOf(StepResource, "RunStepPage") },
    faults: ["run_not_found"],
    run: async (ctx, { params, query }) => {
      const page = await listRunSteps(ctx, params.runId, offsetPage(query.pageSize, query.cursor));
      return { ...page, items: page.items.map(toStep) };
    },
  }),
  operation({
    id: "cancelRun",
    method: "post",
    path: "/api/v1/runs/{runId}/cancel",
    tag,
    summary: "Ask for a run to be cancelled; one that has ended stays as it is",
    permission: "session:write",
    params,
    returns: {
      status: 202,
      schema: z.object({ runId: Id, status: z.literal("cancellation_requested") }).meta({ id: "CancelRunAccepted" }),
    },
    faults: ["run_not_found"],
    run: async (ctx, { params }) => {
      await cancelRun(ctx, params.runId);
      return { runId: params.runId, status: "cancellation_requested" as const };
    },
  }),
  operation({
    id: "guideQueuedRun",
    method: "post",
    path: "/api/v1/runs/{runId}/guide",
    tag,
    summary: "Move a waiting run to the head of its queue and interrupt the active one",
    permission: "session:write",
    params,
    returns: {
      status: 202,
      schema: z.object({ runId: Id, status: z.literal("interrupt_requested") }).meta({ id: "GuideQueuedRunAccepted" }),
    },
    faults: ["run_not_found", "queued_run_not_found"],
    run: async (ctx, { params }) => {
      await guideRun(ctx, params.runId);
      return { runId: params.runId, status: "interrupt_requested" as const };
    },
  }),
];
