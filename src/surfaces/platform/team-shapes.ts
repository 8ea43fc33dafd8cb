import { z } from "zod";
import type { Role } from "#domain/actor";
import type { Team, TeamMember } from "#domain/team/repo";
import { iso } from "#kernel/time";

const ROLE_WORDS = ["owner", "admin", "member"] as const;

const TeamFields = z.object({ id: z.string(), name: z.string(), slug: z.string(), created_at: z.iso.datetime() });
const RoleWord = z.enum(ROLE_WORDS);

export const TeamResource = TeamFields.meta({ id: "Team" });
export const TeamWithRoleResource = TeamFields.extend({ role: RoleWord }).meta({ id: "TeamWithRole" });
export const TeamMemberResource = z
  .object({ user_id: z.string(), email: z.string(), role: RoleWord, joined_at: z.iso.datetime() })
  .meta({ id: "TeamMember" });
export const TeamDetailResource = z
  .object({ team: TeamResource, members: z.array(TeamMemberResource) })
  .meta({ id: "TeamDetail" });

/** This contract has no word for a viewer, who is a member that may change nothing. */
const roleWord = (role: Role): (typeof ROLE_WORDS)[number] => (role === "viewer" ? "member" : role);

export const toTeam = ({ id, name, slug, createdAt }: Team): z.input<typeof TeamResource> => ({
  id,
  name,
  slug,
  created_at: iso(createdAt),
});

export const toTeamWithRole = ({ team, role }: { team: Team; role: Role }): z.input<typeof TeamWithRoleResource> => ({
  ...toTeam(team),
  role: roleWord(role),
});

export const toTeamMember = (member: TeamMember): z.input<typeof TeamMemberResource> => ({
  user_id: member.userId,
  email: member.email,
  role: roleWord(member.role),
  joined_at: iso(member.joinedAt),
});
