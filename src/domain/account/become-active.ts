import { and, eq, sql } from "drizzle-orm";
import { auditAccount } from "#domain/account/audit-account";
import type { Ctx, Statement } from "#domain/context";
import { insertMembership, insertTeam } from "#domain/principal/repo";
import { newSlug } from "#domain/team/values";
import { users } from "#schema";

const MAX_TEAM_NAME = 128;
const SUFFIX = "'s Team";

type Person = { id: string; name: string };

/**
 * The statements that make an inactive account usable, with the team it starts in. The very first account that becomes
 * active is the platform's administrator (platform R35); batches run one after another, so there is one first.
 */
export function becomeActive(ctx: Ctx, person: Person): { teamId: string; statements: Statement[] } {
  const { teamId, statements } = defaultTeam(ctx, person);
  const isFirst = sql<boolean>`NOT EXISTS (SELECT 1 FROM ${users} AS u WHERE u.status <> 'inactive')`;
  const activated = ctx.db
    .update(users)
    .set({ status: "active", isPlatformAdmin: isFirst, updatedAt: ctx.now() })
    .where(and(eq(users.id, person.id), eq(users.status, "inactive")));
  return { teamId, statements: [activated, auditAccount(ctx, "user.activated", person), ...statements] };
}

/** A new team of the user's own, in which logins begin (platform R32, R40). */
export function defaultTeam(ctx: Ctx, person: Person): { teamId: string; statements: Statement[] } {
  const [teamId, at] = [ctx.newId("team"), ctx.now()];
  const team = { id: teamId, name: defaultTeamName(person.name), slug: newSlug(), createdAt: at, updatedAt: at };
  return {
    teamId,
    statements: [
      insertTeam(ctx.db, team),
      insertMembership(ctx.db, { teamId, userId: person.id, role: "owner", isDefault: true, createdAt: at }),
      auditAccount(ctx, "team.created", person, { teamId }),
    ],
  };
}

/** `<name>'s Team` in the alphabet of team names: accents are dropped, everything else outside of it too. */
export function defaultTeamName(name: string): string {
  const plain = name.normalize("NFKD").replaceAll(/\p{M}/gu, "");
  const allowed = plain.replaceAll(/[^A-Za-z0-9 _\-@']+/g, " ").replaceAll(/ +/g, " ");
  const cut = allowed
    .trim()
    .slice(0, MAX_TEAM_NAME - SUFFIX.length)
    .trim();
  return cut === "" ? "My Team" : cut + SUFFIX;
}
