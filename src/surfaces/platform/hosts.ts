import { z } from "zod";
import { createHost, type InvitedHost } from "#domain/host/create-host";
import { deleteHost, previewHostDeletion } from "#domain/host/delete-host";
import { getHost } from "#domain/host/get-host";
import { addHostTag, listHostTags, removeHostTag } from "#domain/host/host-tags";
import { listHosts } from "#domain/host/list-hosts";
import { regenerateHostToken } from "#domain/host/regenerate-host-token";
import { Empty, operation } from "#http/operation";
import { queryBoolean } from "#http/query";
import { HostResource, toHostResource } from "#surfaces/platform/host-shapes";

const Label = z.string().trim().min(1).max(100);
const CreateHostBody = z
  .object({
    type: z.enum(["regular", "byoc"]),
    team_id: z.string().min(1).max(100).optional(),
    provider: Label.optional(),
    availability_zone: Label.optional(),
  })
  .meta({ id: "CreateHostRequest" });

const InvitedHostResource = z
  .object({ host: HostResource, registration_token: z.string() })
  .meta({ id: "CreateHostResponse" });

const DeletionPreview = z
  .object({ host: HostResource, sandbox_ids: z.array(z.string()) })
  .meta({ id: "HostDeletePreview" });

const AddTagBody = z.object({ tag: Label }).meta({ id: "AddTagRequest" });

const toInvitedHost = ({ host, registrationToken }: InvitedHost) => ({
  host: toHostResource(host),
  registration_token: registrationToken,
});

const about = { tag: "hosts", params: z.object({ id: z.string() }) } as const;

/** What people ask about hosts. */
export const hostOperations = [
  operation({
    id: "createHost",
    method: "post",
    path: "/v1/hosts",
    tag: "hosts",
    summary: "Add a host and get the token its agent registers with",
    permission: "host:write",
    audits: "host.created",
    creates: true,
    showsSecret: true,
    body: CreateHostBody,
    returns: { status: 201, schema: InvitedHostResource },
    faults: ["team_not_found"],
    run: async (ctx, { body }) => {
      const { team_id: teamId, availability_zone: availabilityZone, ...rest } = body;
      return toInvitedHost(await createHost(ctx, { ...rest, teamId, availabilityZone }));
    },
  }),
  operation({
    id: "listHosts",
    method: "get",
    path: "/v1/hosts",
    tag: "hosts",
    summary: "List the hosts you may see",
    permission: "host:read",
    returns: { status: 200, schema: z.array(HostResource) },
    faults: [],
    run: async (ctx) => (await listHosts(ctx)).map(toHostResource),
  }),
  operation({
    ...about,
    id: "getHost",
    method: "get",
    path: "/v1/hosts/{id}",
    summary: "Look at a host",
    permission: "host:read",
    returns: { status: 200, schema: HostResource },
    faults: ["host_not_found"],
    run: async (ctx, { params }) => toHostResource(await getHost(ctx, params.id)),
  }),
  operation({
    ...about,
    id: "deleteHost",
    method: "delete",
    path: "/v1/hosts/{id}",
    summary: "Delete a host",
    description: "Refused while sandboxes are on it, unless `force` is true: then they and their files are destroyed.",
    permission: "host:write",
    audits: "host.deleted",
    query: z.object({ force: queryBoolean(false) }),
    returns: { status: 204, schema: Empty },
    faults: ["host_not_found", "host_has_sandboxes"],
    run: async (ctx, { params, query }) => void (await deleteHost(ctx, params.id, query)),
  }),
  operation({
    ...about,
    id: "getHostDeletePreview",
    method: "get",
    path: "/v1/hosts/{id}/delete-preview",
    summary: "Show what deleting a host by force would destroy",
    permission: "host:read",
    returns: { status: 200, schema: DeletionPreview },
    faults: ["host_not_found"],
    run: async (ctx, { params }) => {
      const { host, sandboxIds } = await previewHostDeletion(ctx, params.id);
      return { host: toHostResource(host), sandbox_ids: sandboxIds };
    },
  }),
  operation({
    ...about,
    id: "regenerateHostToken",
    method: "post",
    path: "/v1/hosts/{id}/token",
    summary: "Get another registration token for a host that has not registered",
    permission: "host:write",
    audits: "host.token_regenerated",
    returns: { status: 201, schema: InvitedHostResource },
    faults: ["host_not_found", "conflict"],
    run: async (ctx, { params }) => toInvitedHost(await regenerateHostToken(ctx, params.id)),
  }),
  operation({
    ...about,
    id: "listHostTags",
    method: "get",
    path: "/v1/hosts/{id}/tags",
    summary: "List the tags of a host",
    permission: "host:read",
    returns: { status: 200, schema: z.array(z.string()) },
    faults: ["host_not_found"],
    run: (ctx, { params }) => listHostTags(ctx, params.id),
  }),
  operation({
    ...about,
    id: "addHostTag",
    method: "post",
    path: "/v1/hosts/{id}/tags",
    summary: "Put a tag on a host",
    permission: "host:write",
    audits: "host.tag_added",
    body: AddTagBody,
    returns: { status: 204, schema: Empty },
    faults: ["host_not_found"],
    run: async (ctx, { params, body }) => void (await addHostTag(ctx, params.id, body.tag)),
  }),
  operation({
    id: "removeHostTag",
    method: "delete",
    path: "/v1/hosts/{id}/tags/{tag}",
    tag: "hosts",
    summary: "Take a tag off a host",
    permission: "host:write",
    audits: "host.tag_removed",
    params: z.object({ id: z.string(), tag: z.string() }),
    returns: { status: 204, schema: Empty },
    faults: ["host_not_found"],
    run: async (ctx, { params }) => void (await removeHostTag(ctx, params.id, params.tag)),
  }),
];
