import { eq } from "drizzle-orm";
import type { Role } from "#domain/actor";
import { audit } from "#domain/audit/audit";
import { type Ctx, commit, type Db, demand, inTeam } from "#domain/context";
import { findTeam, selectTeamsOf, type Team, teamNotFound } from "#domain/team/repo";
import { newSlug } from "#domain/team/values";
import { Fault } from "#kernel/fault";
import { memberships, teams } from "#schema";

const OWNER: Role = "owner";
/** Teams that one user may own; the list shows them all at once. */
const MAX_TEAMS = 200;

/** A new team of which the caller is the owner; it does not become the active one. `invalid` for one who owns very many. */
export async function createTeam(ctx: Ctx, { name }: { name: string }): Promise<{ team: Team; role: Role }> {
  demand(ctx.actor, "account:write");
  const owned = (await selectTeamsOf(ctx.db, ctx.actor.id)).filter(({ role }) => role === OWNER);
  if (owned.length >= MAX_TEAMS) throw new Fault("invalid", `you own ${MAX_TEAMS} teams; delete some first`);
  const [id, at] = [ctx.newId("team"), ctx.now()];
  const team = { id, name, slug: await freeSlug(ctx.db), createdAt: at, updatedAt: at };
  const owner = { teamId: id, userId: ctx.actor.id, role: OWNER, createdAt: at };
  await commit(
    ctx.db,
    ctx.db.insert(teams).values(team).onConflictDoNothing({ target: teams.id }),
    ctx.db.insert(memberships).values(owner).onConflictDoNothing(),
    audit(inTeam(ctx, id), "team.created", id, { name }),
  );
  // Read back, because a repeat under one Idempotency-Key keeps the slug of the first attempt.
  const made = await findTeam(ctx.db, id);
  if (!made) throw teamNotFound();
  return { team: made, role: OWNER };
}

/** Deleted teams keep their row, so no slug is ever used twice (platform R122). */
async function freeSlug(db: Db): Promise<string> {
  for (;;) {
    const slug = newSlug();
    const taken = await db.select({ id: teams.id }).from(teams).where(eq(teams.slug, slug));
    if (taken.length === 0) return slug;
  }
}
