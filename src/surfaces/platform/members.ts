import { z } from "zod";
import { Email } from "#domain/account/values";
import { addTeamMember } from "#domain/team/add-team-member";
import { listTeamMembers } from "#domain/team/get-team";
import { removeTeamMember } from "#domain/team/remove-team-member";
import { updateMemberRole } from "#domain/team/update-member-role";
import { MEMBER_ROLES } from "#domain/team/values";
import { Empty, operation } from "#http/operation";
import { TeamMemberResource, toTeamMember } from "#surfaces/platform/team-shapes";
import { idOf, USER_LOOKUP } from "#surfaces/platform/values";

const TeamParams = z.object({ id: idOf("team") });
const MemberParams = z.object({ id: idOf("team"), uid: z.string().max(100) });

export const memberOperations = [
  operation({
    id: "listTeamMembers",
    method: "get",
    path: "/v1/teams/{id}/members",
    tag: "teams",
    summary: "List the members of the active team",
    permission: "account:read",
    params: TeamParams,
    returns: { status: 200, schema: z.array(TeamMemberResource) },
    faults: ["unauthenticated", "forbidden", "team_not_found"],
    run: async (ctx, { params }) => (await listTeamMembers(ctx, params.id)).map(toTeamMember),
  }),
  operation({
    id: "addTeamMember",
    method: "post",
    path: "/v1/teams/{id}/members",
    tag: "teams",
    summary: "Add somebody to the active team",
    description: "For its owner and administrators. The account with this e-mail becomes a member at once.",
    permission: "team:write",
    audits: "member.added",
    limit: USER_LOOKUP,
    limitSubject: ({ actor }) => `user ${actor.id}`,
    params: TeamParams,
    body: z.object({ email: Email }).meta({ id: "AddTeamMemberRequest" }),
    creates: true,
    returns: { status: 201, schema: TeamMemberResource },
    faults: ["invalid", "already_member", "unauthenticated", "forbidden", "user_not_found"],
    run: async (ctx, { params, body }) => toTeamMember(await addTeamMember(ctx, { ...params, ...body })),
  }),
  operation({
    id: "updateMemberRole",
    method: "patch",
    path: "/v1/teams/{id}/members/{uid}",
    tag: "teams",
    summary: "Change a member's role",
    description: "For the owner and administrators. The owner's role cannot be changed.",
    permission: "team:write",
    audits: "member.role_updated",
    params: MemberParams,
    body: z.object({ role: z.enum(MEMBER_ROLES) }).meta({ id: "UpdateMemberRoleRequest" }),
    returns: { status: 204, schema: Empty },
    faults: ["invalid", "unauthenticated", "forbidden", "member_not_found"],
    run: async (ctx, { params, body }) => {
      await updateMemberRole(ctx, { id: params.id, userId: params.uid, ...body });
      return undefined;
    },
  }),
  operation({
    id: "removeTeamMember",
    method: "delete",
    path: "/v1/teams/{id}/members/{uid}",
    tag: "teams",
    summary: "Remove a member",
    description: "For the owner and administrators. The owner cannot be removed. The keys the member made here stop.",
    permission: "team:write",
    audits: "member.removed",
    params: MemberParams,
    returns: { status: 204, schema: Empty },
    faults: ["unauthenticated", "forbidden", "member_not_found"],
    run: async (ctx, { params }) => {
      await removeTeamMember(ctx, { id: params.id, userId: params.uid });
      return undefined;
    },
  }),
];
