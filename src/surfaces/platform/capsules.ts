import { z } from "zod";
import { createSandbox } from "#domain/sandbox/create-sandbox";
import { destroySandbox } from "#domain/sandbox/destroy-sandbox";
import { getSandbox } from "#domain/sandbox/get-sandbox";
import { listSandboxes } from "#domain/sandbox/list-sandboxes";
import { pauseSandbox } from "#domain/sandbox/pause-sandbox";
import { pingSandbox } from "#domain/sandbox/ping-sandbox";
import { resumeSandbox } from "#domain/sandbox/resume-sandbox";
import { Empty, operation } from "#http/operation";
import { Capsule, CreateCapsuleBody, fromCapsuleBody, toCapsule } from "#surfaces/platform/capsule-shapes";

const accepts = ["api_key", "session"] as const;
const about = { tag: "capsules", accepts, params: z.object({ id: z.string().max(100) }) } as const;

export const getCapsule = operation({
  ...about,
  id: "getCapsule",
  method: "get",
  path: "/v1/capsules/{id}",
  summary: "Look at a capsule",
  permission: "sandbox:read",
  returns: { status: 200, schema: Capsule },
  faults: ["sandbox_not_found"],
  run: async (ctx, { params }) => toCapsule(await getSandbox(ctx, params.id)),
});

/** The life of capsules, as their team asks for it. */
export const capsuleOperations = [
  operation({
    id: "createCapsule",
    method: "post",
    path: "/v1/capsules",
    tag: "capsules",
    summary: "Create a capsule",
    description:
      "It is `starting` when this answers; ask for it until it is `running`. No host is asked before that, so one that " +
      "refuses the start is no 502 here: the capsule becomes an `error`, which says why, and an event tells it. What " +
      "begins with a template has its variables and commands from each boot on.",
    permission: "sandbox:write",
    audits: "sandbox.created",
    accepts,
    creates: true,
    body: CreateCapsuleBody,
    returns: { status: 202, schema: Capsule },
    faults: ["template_not_found", "sandbox_failed", "no_hosts_available"],
    run: async (ctx, { body }) => toCapsule(await createSandbox(ctx, fromCapsuleBody(body))),
  }),
  operation({
    id: "listCapsules",
    method: "get",
    path: "/v1/capsules",
    tag: "capsules",
    summary: "List the team's capsules",
    description: "The newest thousand, without those that are `stopped` or ended with an `error`.",
    permission: "sandbox:read",
    accepts,
    returns: { status: 200, schema: z.array(Capsule) },
    faults: [],
    run: async (ctx) => (await listSandboxes(ctx)).map(toCapsule),
  }),
  getCapsule,
  operation({
    ...about,
    id: "destroyCapsule",
    method: "delete",
    path: "/v1/capsules/{id}",
    summary: "Destroy a capsule with its files",
    description: "Safe to repeat. It can still be looked at afterwards.",
    permission: "sandbox:write",
    audits: "sandbox.destroyed",
    returns: { status: 202, schema: Capsule },
    faults: ["sandbox_not_found"],
    run: async (ctx, { params }) => toCapsule(await destroySandbox(ctx, params.id)),
  }),
  operation({
    ...about,
    id: "pingCapsule",
    method: "post",
    path: "/v1/capsules/{id}/ping",
    summary: "Put off the pause of an idle capsule",
    permission: "sandbox:write",
    returns: { status: 204, schema: Empty },
    faults: ["sandbox_not_found", "sandbox_not_running"],
    run: async (ctx, { params }) => {
      await pingSandbox(ctx, params.id);
      return undefined;
    },
  }),
  operation({
    ...about,
    id: "pauseCapsule",
    method: "post",
    path: "/v1/capsules/{id}/pause",
    summary: "Pause a running capsule",
    description:
      "None of its processes runs until it is resumed. `pause_mode` in its metadata tells whether they are kept.",
    permission: "sandbox:write",
    audits: "sandbox.paused",
    returns: { status: 202, schema: Capsule },
    faults: ["sandbox_not_found", "sandbox_not_running"],
    run: async (ctx, { params }) => toCapsule(await pauseSandbox(ctx, params.id)),
  }),
  operation({
    ...about,
    id: "resumeCapsule",
    method: "post",
    path: "/v1/capsules/{id}/resume",
    summary: "Resume a paused capsule",
    permission: "sandbox:write",
    audits: "sandbox.resumed",
    returns: { status: 202, schema: Capsule },
    faults: ["sandbox_not_found", "sandbox_not_running"],
    run: async (ctx, { params }) => toCapsule(await resumeSandbox(ctx, params.id)),
  }),
];
