import { z } from "zod";
import { deleteAnyTeam } from "#domain/team/delete-team";
import { type ListedTeam, listAllTeams } from "#domain/team/list-all-teams";
import { setTeamByoc } from "#domain/team/set-team-byoc";
import { Empty, operation } from "#http/operation";
import { iso } from "#kernel/time";
import { answerPage, PageQuery, toPage } from "#surfaces/platform/numbered-page";

const AdminTeamResource = z
  .object({
    id: z.string(),
    name: z.string(),
    slug: z.string(),
    is_byoc: z.boolean(),
    created_at: z.iso.datetime(),
    deleted_at: z.iso.datetime().nullable(),
    member_count: z.int(),
    owner_name: z.string().nullable(),
    owner_email: z.string().nullable(),
    active_sandbox_count: z.int(),
    channel_count: z.int(),
  })
  .meta({ id: "AdminTeam" });

const TeamParams = z.object({ id: z.string().max(100) });

/** The field is also known as `enabled` (platform A11); the document names it once. */
const ByocBody = z.preprocess(alsoEnabled, z.object({ byoc: z.boolean() })).meta({ id: "SetTeamByocRequest" });

function alsoEnabled(body: unknown): unknown {
  const isAlias = typeof body === "object" && body !== null && "enabled" in body && !("byoc" in body);
  return isAlias ? { byoc: body.enabled } : body;
}

const toAdminTeam = ({ team, owner, ...counts }: ListedTeam): z.input<typeof AdminTeamResource> => ({
  id: team.id,
  name: team.name,
  slug: team.slug,
  is_byoc: team.isByoc,
  created_at: iso(team.createdAt),
  deleted_at: team.deletedAt === null ? null : iso(team.deletedAt),
  member_count: counts.members,
  owner_name: owner?.name ?? null,
  owner_email: owner?.email ?? null,
  active_sandbox_count: counts.activeSandboxes,
  channel_count: counts.channels,
});

export const adminTeamOperations = [
  operation({
    id: "adminListTeams",
    method: "get",
    path: "/v1/admin/teams",
    tag: "admin",
    summary: "List all teams",
    description:
      "Oldest first and deleted ones last, in numbered pages; the header `X-Total-Count` tells how many there are.",
    permission: "platform:admin",
    query: PageQuery,
    returns: { status: 200, schema: z.array(AdminTeamResource) },
    faults: ["unauthenticated", "forbidden"],
    run: async (ctx, { query, outcome }) =>
      answerPage(await listAllTeams(ctx, toPage(query)), outcome).map(toAdminTeam),
  }),
  operation({
    id: "adminSetTeamBYOC",
    method: "put",
    path: "/v1/admin/teams/{id}/byoc",
    tag: "admin",
    summary: "Let a team bring its own hosts, or stop that",
    description: "Stopping is refused while the team has hosts of its own. `enabled` is accepted for `byoc`.",
    permission: "platform:admin",
    audits: "team.byoc_set",
    params: TeamParams,
    body: ByocBody,
    returns: { status: 204, schema: Empty },
    faults: ["invalid", "unauthenticated", "forbidden", "team_not_found", "conflict"],
    run: async (ctx, { params, body }) => {
      await setTeamByoc(ctx, { ...params, ...body });
      return undefined;
    },
  }),
  operation({
    id: "adminDeleteTeam",
    method: "delete",
    path: "/v1/admin/teams/{id}",
    tag: "admin",
    summary: "Delete a team",
    description: "With all that follows when its owner deletes it.",
    permission: "platform:admin",
    audits: "team.deleted",
    params: TeamParams,
    returns: { status: 204, schema: Empty },
    faults: ["unauthenticated", "forbidden", "team_not_found"],
    run: async (ctx, { params }) => {
      await deleteAnyTeam(ctx, params.id);
      return undefined;
    },
  }),
];
