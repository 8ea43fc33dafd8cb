import { and, eq, inArray, isNull, sql } from "drizzle-orm";
import { auditIfChanged } from "#domain/audit/audit";
import { type Ctx, demand, inTeam, type Statement } from "#domain/context";
import { commitIdentity, principalsOfUser } from "#domain/principal/commit-identity";
import { userPrincipal } from "#domain/principal/values";
import { selectTeamsOf } from "#domain/team/repo";
import { destroySandboxes } from "#domain/team/stop-teams";
import { getUser, hasPlatformAdmin, noLongerAdmin, type User } from "#domain/user/repo";
import { Fault } from "#kernel/fault";
import { apiKeys, users } from "#schema";

/**
 * Lets somebody log in, or stops that. Deactivating ends the user's sessions and keys for good and destroys the
 * sandboxes of the teams they own (platform R112, R397, R398); activating lets them log in again. An account that waits
 * for its activation can be stopped, and let in without its letter, too.
 */
export async function setUserActive(ctx: Ctx, { id, active }: { id: string; active: boolean }): Promise<void> {
  demand(ctx.actor, "platform:admin");
  if (id === ctx.actor.id && !active) throw new Fault("invalid", "you cannot deactivate yourself");
  const user = await getUser(ctx.db, id);
  if (user.status === (active ? "active" : "disabled")) return;
  if (active) await activate(ctx, user);
  else await deactivate(ctx, user);
}

async function activate(ctx: Ctx, { id }: User): Promise<void> {
  // Sessions of before must not come back, also where the deactivation was cut short.
  await ctx.principals.principal(userPrincipal(id)).revokeAll();
  await change(ctx, id, "active", "user.activated");
}

async function deactivate(ctx: Ctx, { id }: User): Promise<void> {
  const at = ctx.now();
  const owned = (await selectTeamsOf(ctx.db, id)).filter(({ role }) => role === "owner");
  await change(ctx, id, "disabled", "user.deactivated", revokeKeysOfDisabled(ctx, id, at));
  await ctx.principals.principal(userPrincipal(id)).revokeAll();
  ctx.defer(async () => {
    for (const { team } of owned) await destroySandboxes(ctx, team.id, at);
  });
}

type Change = { active: "user.activated"; disabled: "user.deactivated" };

async function change<S extends keyof Change>(
  ctx: Ctx,
  id: string,
  status: S,
  action: Change[S],
  ...rest: Statement[]
) {
  const { db } = ctx;
  const from: User["status"][] = status === "active" ? ["inactive", "disabled"] : ["inactive", "active"];
  const updated = db
    .update(users)
    .set({ status, updatedAt: ctx.now() })
    .where(and(eq(users.id, id), inArray(users.status, from), hasPlatformAdmin(db, { is: ctx.actor.id })))
    .returning({ id: users.id });
  const noted = auditIfChanged(inTeam(ctx, ""), action, id);
  const changed = await commitIdentity(ctx, await principalsOfUser(db, id), updated, noted, ...rest);
  if (changed.length === 0 && (await getUser(db, id)).status !== status) throw noLongerAdmin();
}

function revokeKeysOfDisabled({ db }: Ctx, userId: string, at: number): Statement {
  const disabled = sql`EXISTS (SELECT 1 FROM ${users} WHERE ${users.id} = ${userId} AND ${users.status} = 'disabled')`;
  return db
    .update(apiKeys)
    .set({ revokedAt: at })
    .where(and(eq(apiKeys.createdBy, userId), isNull(apiKeys.revokedAt), disabled));
}
