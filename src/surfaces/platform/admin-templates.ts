import { z } from "zod";
import { deleteAnyTemplate } from "#domain/template/delete-template";
import { listAllTemplates } from "#domain/template/list-templates";
import { Empty, operation } from "#http/operation";
import { TemplateResource, toTemplate } from "#surfaces/platform/template-shapes";

/** Templates of all teams and of the platform, for its administrators. */
export const adminTemplateOperations = [
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
