import { and, eq, ne } from "drizzle-orm";
import { auditIfChanged } from "#domain/audit/audit";
import { type Ctx, demand, inTeam } from "#domain/context";
import { commitIdentity, principalsOfUser } from "#domain/principal/commit-identity";
import { getUser, hasPlatformAdmin, noLongerAdmin } from "#domain/user/repo";
import { Fault } from "#kernel/fault";
import { users } from "#schema";

/**
 * Makes somebody a platform administrator, or ends that; it holds from their next request on (platform R393 to R396).
 * One administrator who can log in stays at any time: `last_platform_admin`.
 */
export async function setUserAdmin(ctx: Ctx, { id, admin }: { id: string; admin: boolean }): Promise<void> {
  demand(ctx.actor, "platform:admin");
  const { db, actor } = ctx;
  if ((await getUser(db, id)).isPlatformAdmin === admin) return;
  const byAdmin = hasPlatformAdmin(db, { is: actor.id });
  // When a deactivated account was changed last tells when it was deactivated, so that time is left alone.
  const updated = db
    .update(users)
    .set({ isPlatformAdmin: admin })
    .where(
      and(
        eq(users.id, id),
        ne(users.status, "deleted"),
        ne(users.isPlatformAdmin, admin),
        byAdmin,
        admin ? undefined : hasPlatformAdmin(db, { isNot: id }),
      ),
    )
    .returning({ id: users.id });
  const noted = auditIfChanged(inTeam(ctx, ""), admin ? "user.admin_granted" : "user.admin_revoked", id);
  const changed = await commitIdentity(ctx, await principalsOfUser(db, id), updated, noted);
  if (changed.length > 0) return;
  if ((await getUser(db, id)).isPlatformAdmin === admin) return;
  const caller = await getUser(db, actor.id);
  if (!caller.isPlatformAdmin || caller.status !== "active") throw noLongerAdmin();
  throw new Fault("last_platform_admin", "the platform needs an administrator");
}
