import { z } from "zod";
import { asAdminOf } from "#domain/sandbox/as-admin";
import { createSandboxFor } from "#domain/sandbox/create-sandbox-for";
import { destroySandbox } from "#domain/sandbox/destroy-sandbox";
import { listAllSandboxes } from "#domain/sandbox/list-all-sandboxes";
import { Empty, operation } from "#http/operation";
import { adminTwin } from "#surfaces/platform/admin-twin";
import { Capsule, CreateCapsuleBody, fromCapsuleBody, toCapsule } from "#surfaces/platform/capsule-shapes";
import { getCapsule } from "#surfaces/platform/capsules";

const AdminCreateCapsuleBody = CreateCapsuleBody.extend({ team_id: z.string().min(1).max(100).optional() }).meta({
  id: "AdminCreateCapsuleRequest",
});

/** Capsules of all teams, as administrators of the platform see them. */
export const adminCapsuleOperations = [
  operation({
    id: "adminCreateCapsule",
    method: "post",
    path: "/v1/admin/capsules",
    tag: "admin",
    summary: "Create a capsule in any team",
    description: "In the team that `team_id` names, by default in the one that is active.",
    permission: "platform:admin",
    audits: "sandbox.created",
    creates: true,
    body: AdminCreateCapsuleBody,
    returns: { status: 201, schema: Capsule },
    faults: ["team_not_found", "template_not_found", "sandbox_failed", "no_hosts_available"],
    run: async (ctx, { body }) => toCapsule(await createSandboxFor(ctx, body.team_id, fromCapsuleBody(body))),
  }),
  operation({
    id: "adminListCapsules",
    method: "get",
    path: "/v1/admin/capsules",
    tag: "admin",
    summary: "List the capsules of all teams",
    description: "The newest thousand, without those that are `stopped` or ended with an `error`.",
    permission: "platform:admin",
    returns: { status: 200, schema: z.array(Capsule) },
    faults: [],
    run: async (ctx) => (await listAllSandboxes(ctx)).map(toCapsule),
  }),
  adminTwin(getCapsule, { id: "adminGetCapsule", summary: "Look at any team's capsule" }),
  operation({
    id: "adminDestroyCapsule",
    method: "delete",
    path: "/v1/admin/capsules/{id}",
    tag: "admin",
    summary: "Destroy any team's capsule with its files",
    permission: "platform:admin",
    audits: "sandbox.destroyed",
    params: z.object({ id: z.string().max(100) }),
    returns: { status: 204, schema: Empty },
    faults: ["sandbox_not_found"],
    run: async (ctx, { params }) => {
      // The destruction itself is audited in the team's log.
      await destroySandbox(await asAdminOf(ctx, params.id), params.id);
      return undefined;
    },
  }),
];
