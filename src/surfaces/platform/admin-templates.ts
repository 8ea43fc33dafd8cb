import { z } from "zod";
import { asAdminOf } from "#domain/sandbox/as-admin";
import { createPlatformSnapshot } from "#domain/template/create-snapshot";
import { deleteAnyTemplate } from "#domain/template/delete-template";
import { listAllTemplates } from "#domain/template/list-templates";
import { Empty, operation } from "#http/operation";
import { TemplateResource, toTemplate } from "#surfaces/platform/template-shapes";

/** Templates of all teams and of the platform, for its administrators. */
export const adminTemplateOperations = [
  operation({
    id: "adminCreateSnapshotFromCapsule",
    method: "post",
    path: "/v1/admin/capsules/{id}/snapshot",
    tag: "admin",
    summary: "Take a snapshot of any running capsule as a template of the platform",
    description: "The capsule goes on; its team finds this in its audit log.",
    permission: "platform:admin",
    audits: "template.created",
    creates: true,
    params: z.object({ id: z.string().max(100) }),
    body: z.object({ name: z.string().max(100) }).meta({ id: "AdminCreateSnapshotRequest" }),
    returns: { status: 201, schema: TemplateResource },
    faults: [
      ...(["unauthenticated", "forbidden", "sandbox_not_found", "sandbox_not_running", "template_name_taken"] as const),
      ...(["sandbox_failed", "host_lost", "timeout"] as const),
    ],
    run: async (ctx, { params, body }) => {
      const inside = await asAdminOf(ctx, params.id, "sandbox.snapshot_taken");
      return toTemplate(await createPlatformSnapshot(inside, params.id, body.name));
    },
  }),
  operation({
    id: "adminListTemplates",
    method: "get",
    path: "/v1/admin/templates",
    tag: "admin",
    summary: "List the templates of all teams and of the platform",
    permission: "platform:admin",
    returns: { status: 200, schema: z.array(TemplateResource) },
    faults: ["unauthenticated", "forbidden"],
    run: async (ctx) => (await listAllTemplates(ctx)).map(toTemplate),
  }),
  operation({
    id: "adminDeleteTemplate",
    method: "delete",
    path: "/v1/admin/templates/{name}",
    tag: "admin",
    summary: "Delete a template of the platform or of a team",
    description:
      "The platform's template of that name, else a team's. `team_id` tells whose it is where several teams use the name.",
    permission: "platform:admin",
    audits: "template.deleted",
    params: z.object({ name: z.string().max(100) }),
    query: z.object({ team_id: z.string().max(100).optional() }),
    returns: { status: 204, schema: Empty },
    faults: ["unauthenticated", "forbidden", "template_not_found", "conflict"],
    run: async (ctx, { params, query }) => void (await deleteAnyTemplate(ctx, params.name, query.team_id)),
  }),
];
