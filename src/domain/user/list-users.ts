import { and, asc, eq, exists, isNull, ne, type SQL, sql } from "drizzle-orm";
import { type Ctx, demand } from "#domain/context";
import type { User } from "#domain/user/repo";
import type { Counted, OffsetPage } from "#kernel/page";
import { memberships, teams, users } from "#schema";

export type ListedUser = { user: User; teamsJoined: number; teamsOwned: number };

/** Every account that was not deleted, oldest first, so that new ones come last and shift no page (platform R399). */
export async function listUsers(ctx: Ctx, { offset, pageSize }: OffsetPage): Promise<Counted<ListedUser>> {
  demand(ctx.actor, "platform:admin");
  const { db } = ctx;
  const present = ne(users.status, "deleted");
  const liveTeam = db
    .select({ one: sql`1` })
    .from(teams)
    .where(and(eq(teams.id, memberships.teamId), isNull(teams.deletedAt)));
  const joined = (which?: SQL) =>
    db.$count(memberships, and(eq(memberships.userId, users.id), exists(liveTeam), which));
  const [items, total] = await Promise.all([
    db
      .select({ user: users, teamsJoined: joined(), teamsOwned: joined(eq(memberships.role, "owner")) })
      .from(users)
      .where(present)
      .orderBy(asc(users.createdAt), asc(users.id))
      .limit(pageSize)
      .offset(offset),
    db.$count(users, present),
  ]);
  return { items, total };
}
