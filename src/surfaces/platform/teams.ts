import { z } from "zod";
import { createTeam } from "#domain/team/create-team";
import { deleteTeam } from "#domain/team/delete-team";
import { getTeam } from "#domain/team/get-team";
import { listTeams } from "#domain/team/list-teams";
import { leaveTeam } from "#domain/team/remove-team-member";
import { renameTeam } from "#domain/team/rename-team";
import { TeamName } from "#domain/team/values";
import { Empty, operation } from "#http/operation";
import {
  TeamDetailResource,
  TeamWithRoleResource,
  toTeam,
  toTeamMember,
  toTeamWithRole,
} from "#surfaces/platform/team-shapes";
import { idOf } from "#surfaces/platform/values";

const TeamParams = z.object({ id: idOf("team") });
const ACTIVE_ONLY = "Works for the active team alone; switch first.";

export const teamOperations = [
  operation({
    id: "listTeams",
    method: "get",
    path: "/v1/teams",
    tag: "teams",
    summary: "List the caller's teams",
    permission: "account:read",
    returns: { status: 200, schema: z.array(TeamWithRoleResource) },
    faults: ["unauthenticated"],
    run: async (ctx) => (await listTeams(ctx)).map(toTeamWithRole),
  }),
  operation({
    id: "createTeam",
    method: "post",
    path: "/v1/teams",
    tag: "teams",
    summary: "Create a team",
    description: "The caller becomes its owner. The active team stays what it is.",
    permission: "account:write",
    audits: "team.created",
    body: z.object({ name: TeamName }).meta({ id: "CreateTeamRequest" }),
    creates: true,
    returns: { status: 201, schema: TeamWithRoleResource },
    faults: ["invalid", "unauthenticated"],
    run: async (ctx, { body }) => toTeamWithRole(await createTeam(ctx, body)),
  }),
  operation({
    id: "getTeam",
    method: "get",
    path: "/v1/teams/{id}",
    tag: "teams",
    summary: "Get the active team with its members",
    permission: "account:read",
    params: z.object({ id: z.string().max(100) }),
    returns: { status: 200, schema: TeamDetailResource },
    faults: ["unauthenticated", "forbidden", "team_not_found"],
    run: async (ctx, { params }) => {
      const { team, members } = await getTeam(ctx, params.id);
      return { team: toTeam(team), members: members.map(toTeamMember) };
    },
  }),
  operation({
    id: "renameTeam",
    method: "patch",
    path: "/v1/teams/{id}",
    tag: "teams",
    summary: "Rename the active team",
    description: `For its owner and administrators. ${ACTIVE_ONLY}`,
    permission: "team:write",
    audits: "team.renamed",
    params: TeamParams,
    body: z.object({ name: TeamName }).meta({ id: "RenameTeamRequest" }),
    returns: { status: 204, schema: Empty },
    faults: ["invalid", "unauthenticated", "forbidden", "team_not_found"],
    run: async (ctx, { params, body }) => {
      await renameTeam(ctx, { ...params, ...body });
      return undefined;
    },
  }),
  operation({
    id: "deleteTeam",
    method: "delete",
    path: "/v1/teams/{id}",
    tag: "teams",
    summary: "Delete the active team",
    description: `For its owner. Its keys stop working and its sandboxes are destroyed. ${ACTIVE_ONLY}`,
    permission: "team:delete",
    audits: "team.deleted",
    params: TeamParams,
    returns: { status: 204, schema: Empty },
    faults: ["unauthenticated", "forbidden", "team_not_found"],
    run: async (ctx, { params }) => {
      await deleteTeam(ctx, params.id);
      return undefined;
    },
  }),
  operation({
    id: "leaveTeam",
    method: "post",
    path: "/v1/teams/{id}/leave",
    tag: "teams",
    summary: "Leave the active team",
    description: `The owner cannot leave. ${ACTIVE_ONLY}`,
    permission: "account:write",
    audits: "member.left",
    params: TeamParams,
    returns: { status: 204, schema: Empty },
    faults: ["unauthenticated", "forbidden", "team_not_found"],
    run: async (ctx, { params }) => {
      await leaveTeam(ctx, params.id);
      return undefined;
    },
  }),
];
