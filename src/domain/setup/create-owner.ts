import { sql } from "drizzle-orm";
import { deleteInactive } from "#domain/account/repo";
import { NOBODY, type Role } from "#domain/actor";
import { audit } from "#domain/audit/audit";
import { onlyIf } from "#domain/conditional";
import { type Actor, type Ctx, commit, demand } from "#domain/context";
import { issueApiKey } from "#domain/principal/issue-api-key";
import { findOwner, insertMembership, insertTeam, insertUser } from "#domain/principal/repo";
import { ANONYMOUS_PRINCIPAL, ANONYMOUS_SECRET } from "#domain/principal/values";
import { newSlug } from "#domain/team/values";
import { sha256 } from "#kernel/digest";
import { Fault } from "#kernel/fault";
import { users } from "#schema";

const OWNER: Role = "owner";

export type Owner = { userId: string; teamId: string; apiKeyId: string; apiKey: string };

/**
 * Sets a fresh deployment up: the first user, a platform administrator, with a team and an API key. Repeating it for
 * the same e-mail issues another key; another e-mail is refused with `conflict`. The first team is also the one that
 * callers without a credential act in, where they are let in at all.
 */
export async function createOwner(ctx: Ctx, input: { email: string; teamName: string }): Promise<Owner> {
  demand(ctx.actor, "platform:setup");
  const { email } = input;
  const owner = (await findOwner(ctx.db)) ?? (await insertOwner(ctx, email, input.teamName));
  if (owner.email !== email) throw new Fault("conflict", "this deployment already has an owner");
  const { userId, teamId } = owner;
  await admitAnonymous(ctx, teamId);
  const scoped = { ...ctx, actor: { ...ctx.actor, teamId } };
  const issued = await issueApiKey(scoped, { teamId, userId, name: "set-up" });
  return { userId, teamId, apiKeyId: issued.id, apiKey: issued.key };
}

async function insertOwner(ctx: Ctx, email: string, teamName: string) {
  const [userId, teamId, at] = [ctx.newId("user"), ctx.newId("team"), ctx.now()];
  const scoped = { ...ctx, actor: { ...ctx.actor, teamId } };
  const times = { createdAt: at, updatedAt: at };
  const [name = ""] = email.split("@");
  try {
    await commit(
      ctx.db,
      onlyIf(ctx.db, sql`NOT EXISTS (SELECT 1 FROM ${users} WHERE ${users.isPlatformAdmin})`, "conflict"),
      ...deleteInactive(ctx.db, email, at),
      insertUser(ctx.db, { id: userId, email, name, status: "active", isPlatformAdmin: true, ...times }),
      insertTeam(ctx.db, { id: teamId, name: teamName, slug: newSlug(), ...times }),
      insertMembership(ctx.db, { teamId, userId, role: OWNER, isDefault: true, createdAt: at }),
      audit(scoped, "user.created", userId),
      audit(scoped, "team.created", teamId),
    );
  } catch (error) {
    const winner = await findOwner(ctx.db);
    if (winner) return winner;
    throw error;
  }
  return { userId, email, teamId };
}

async function admitAnonymous(ctx: Ctx, teamId: string): Promise<void> {
  const actor: Actor = {
    ...NOBODY,
    id: ANONYMOUS_PRINCIPAL,
    teamId,
    role: "member",
    principal: ANONYMOUS_PRINCIPAL,
    credentialId: ANONYMOUS_PRINCIPAL,
    subject: "standalone:anonymous",
  };
  await ctx.principals.principal(ANONYMOUS_PRINCIPAL).enrol({
    id: ANONYMOUS_PRINCIPAL,
    secretHash: await sha256(ANONYMOUS_SECRET),
    grant: { kind: "fixed", actor },
    createdAt: ctx.now(),
    expiresAt: null,
    idleMs: null,
    device: null,
  });
}
