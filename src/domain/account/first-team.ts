import { defaultTeam } from "#domain/account/become-active";
import { findFirstTeam, hasNoTeam, type User } from "#domain/account/repo";
import type { Role } from "#domain/actor";
import { onlyIf } from "#domain/conditional";
import { type Ctx, commit } from "#domain/context";

/** The team in which a login begins; a user who has none left gets a new one (platform R40). */
export async function firstTeam(ctx: Ctx, user: User): Promise<{ teamId: string; role: Role }> {
  return (await findFirstTeam(ctx.db, user.id)) ?? makeTeam(ctx, user);
}

async function makeTeam(ctx: Ctx, user: User): Promise<{ teamId: string; role: Role }> {
  const { teamId, statements } = defaultTeam(ctx, user);
  try {
    await commit(ctx.db, onlyIf(ctx.db, hasNoTeam(user.id), "conflict"), ...statements);
  } catch (error) {
    // Another login at the same moment has made one.
    const team = await findFirstTeam(ctx.db, user.id);
    if (team) return team;
    throw error;
  }
  return { teamId, role: "owner" };
}
