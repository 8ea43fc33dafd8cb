import { z } from "zod";
import { createSnapshot } from "#domain/template/create-snapshot";
import { deleteTemplate } from "#domain/template/delete-template";
import { listTemplates } from "#domain/template/list-templates";
import { Empty, operation } from "#http/operation";
import { TemplateResource, toTemplate } from "#surfaces/platform/template-shapes";

const CreateSnapshotBody = z
  .object({
    sandbox_id: z.string().min(1).max(100).describe("The running capsule."),
    name: z.string().max(100).optional().describe("Generated if it is left out."),
  })
  .meta({ id: "CreateSnapshotRequest" });

const KEY_OR_SESSION = ["api_key", "session"] as const;

/** Templates of a team: it takes them as snapshots of its capsules, and makes capsules from them. */
export const snapshotOperations = [
  operation({
    id: "createSnapshot",
    method: "post",
    path: "/v1/snapshots",
    tag: "snapshots",
    summary: "Take a snapshot of a running capsule as a template",
    description:
      "The capsule stands still for a moment and goes on; this answers once its files are stored. A name that exists is never overwritten.",
    permission: "template:write",
    audits: "snapshot.created",
    accepts: KEY_OR_SESSION,
    creates: true,
    body: CreateSnapshotBody,
    returns: { status: 201, schema: TemplateResource },
    faults: [
      ...(["sandbox_not_found", "sandbox_not_running", "template_name_taken"] as const),
      ...(["sandbox_failed", "host_lost", "timeout"] as const),
    ],
    run: async (ctx, { body }) => toTemplate(await createSnapshot(ctx, body.sandbox_id, body.name)),
  }),
  operation({
    id: "listSnapshots",
    method: "get",
    path: "/v1/snapshots",
    tag: "snapshots",
    summary: "List the templates your team may use",
    description: "The team's own and those of the platform, newest first.",
    permission: "template:read",
    accepts: KEY_OR_SESSION,
    query: z.object({ type: z.enum(["base", "snapshot"]).optional().describe("Only templates of this type.") }),
    returns: { status: 200, schema: z.array(TemplateResource) },
    faults: [],
    run: async (ctx, { query }) => (await listTemplates(ctx, query.type)).map(toTemplate),
  }),
  operation({
    id: "deleteSnapshot",
    method: "delete",
    path: "/v1/snapshots/{name}",
    tag: "snapshots",
    summary: "Delete a template and its files",
    description: "Capsules that were made from it stay as they are. Templates of the platform are refused.",
    permission: "template:write",
    audits: "snapshot.deleted",
    accepts: KEY_OR_SESSION,
    params: z.object({ name: z.string().max(100) }),
    returns: { status: 204, schema: Empty },
    faults: ["template_not_found"],
    run: async (ctx, { params }) => void (await deleteTemplate(ctx, params.name)),
  }),
];
