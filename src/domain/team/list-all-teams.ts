import { and, asc, eq, inArray, ne, sql } from "drizzle-orm";
import { alias } from "drizzle-orm/sqlite-core";
import { type Ctx, demand } from "#domain/context";
import { LIVE_STATUSES } from "#domain/sandbox/status";
import type { Team } from "#domain/team/repo";
import type { Counted, OffsetPage } from "#kernel/page";
import { channels, memberships, sandboxes, teams, users } from "#schema";

export type ListedTeam = {
  team: Team;
  /** Null once the owner's account is gone. */
  owner: { name: string; email: string } | null;
  members: number;
  activeSandboxes: number;
  channels: number;
};

/** All teams, oldest first and deleted ones last (platform R399). */
export async function listAllTeams(ctx: Ctx, { offset, pageSize }: OffsetPage): Promise<Counted<ListedTeam>> {
  demand(ctx.actor, "platform:admin");
  const { db } = ctx;
  const ownership = alias(memberships, "ownership");
  const isActive = and(eq(sandboxes.teamId, teams.id), inArray(sandboxes.status, LIVE_STATUSES));
  const [items, total] = await Promise.all([
    db
      .select({
        team: teams,
        owner: { name: users.name, email: users.email },
        members: db.$count(memberships, eq(memberships.teamId, teams.id)),
        activeSandboxes: db.$count(sandboxes, isActive),
        channels: db.$count(channels, eq(channels.teamId, teams.id)),
      })
      .from(teams)
      .leftJoin(ownership, and(eq(ownership.teamId, teams.id), eq(ownership.role, "owner")))
      .leftJoin(users, and(eq(users.id, ownership.userId), ne(users.status, "deleted")))
      .orderBy(sql`${teams.deletedAt} IS NOT NULL`, asc(teams.createdAt), asc(teams.id))
      .limit(pageSize)
      .offset(offset),
    db.$count(teams),
  ]);
  return { items, total };
}
