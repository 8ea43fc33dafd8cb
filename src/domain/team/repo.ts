import { and, asc, eq, exists, inArray, isNull, ne, sql } from "drizzle-orm";
import { alias } from "drizzle-orm/sqlite-core";
import { type Permission, ROLE_PERMISSIONS, ROLES, type Role } from "#domain/actor";
import type { Ctx, Db } from "#domain/context";
import { Fault } from "#kernel/fault";
import { memberships, teams, users } from "#schema";

export type Team = typeof teams.$inferSelect;
export type Membership = typeof memberships.$inferSelect;
export type TeamMember = { userId: string; email: string; role: Role; joinedAt: number };

export const teamNotFound = () => new Fault("team_not_found", "no such team");

/** A team that was not deleted. */
export async function findTeam(db: Db, id: string): Promise<Team | undefined> {
  const [row] = await db
    .select()
    .from(teams)
    .where(and(eq(teams.id, id), isNull(teams.deletedAt)));
  return row;
}

export async function findMembership(db: Db, teamId: string, userId: string): Promise<Membership | undefined> {
  const [row] = await db.select().from(memberships).where(memberIs(teamId, userId));
  return row;
}

/** A user's teams with the role there, first joined first. */
export async function selectTeamsOf(db: Db, userId: string): Promise<{ team: Team; role: Role }[]> {
  return db
    .select({ team: teams, role: memberships.role })
    .from(memberships)
    .innerJoin(teams, and(eq(teams.id, memberships.teamId), isNull(teams.deletedAt)))
    .where(eq(memberships.userId, userId))
    .orderBy(asc(memberships.createdAt), asc(teams.id));
}

/** A team's members, first joined first. People who deleted their account are no members any more. */
export function selectMembers(db: Db, teamId: string): Promise<TeamMember[]> {
  return db
    .select({ userId: users.id, email: users.email, role: memberships.role, joinedAt: memberships.createdAt })
    .from(memberships)
    .innerJoin(users, and(eq(users.id, memberships.userId), ne(users.status, "deleted")))
    .where(eq(memberships.teamId, teamId))
    .orderBy(asc(memberships.createdAt), asc(users.id));
}

export const memberIs = (teamId: string, userId: string) =>
  and(eq(memberships.teamId, teamId), eq(memberships.userId, userId));

/**
 * Holds while the user has a role with this permission in a team that is not deleted. Put into the condition of a change
 * it makes sure that of two changes at once the second sees what the first has done.
 */
export function mayInTeam(db: Db, userId: string, teamId: string, permission: Permission) {
  const [self, live] = [alias(memberships, "self"), alias(teams, "live")];
  const roles = ROLES.filter((role) => ROLE_PERMISSIONS[role].includes(permission));
  return exists(
    db
      .select({ one: sql`1` })
      .from(self)
      .innerJoin(live, and(eq(live.id, self.teamId), isNull(live.deletedAt)))
      .where(and(eq(self.teamId, teamId), eq(self.userId, userId), inArray(self.role, roles))),
  );
}

/**
 * Teams are worked on while they are the active one alone (platform A3): any other is `forbidden`, and
 * `team_not_found` when there is none.
 */
export async function demandActiveTeam(ctx: Ctx, id: string): Promise<void> {
  if (id !== "" && id === ctx.actor.teamId) return;
  if (!(await findTeam(ctx.db, id))) throw teamNotFound();
  throw new Fault("forbidden", "this is not the active team; switch to it first");
}

/** What a change answers whose condition did not hold any more when it was made. */
export const noLongerAllowed = () => new Fault("forbidden", "your role in the team does not allow this");
