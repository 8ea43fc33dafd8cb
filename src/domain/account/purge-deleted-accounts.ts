import { and, eq, gte, inArray, lte, or, type SQL, sql } from "drizzle-orm";
import type { User } from "#domain/account/repo";
import { DELETED_ACCOUNT_KEPT_MS } from "#domain/account/values";
import { audit } from "#domain/audit/audit";
import { onlyIf } from "#domain/conditional";
import { type Ctx, commit, type Db, type Statement } from "#domain/context";
import { deliverMails } from "#domain/mail/deliver-mails";
import { queueMail, sealLetter } from "#domain/mail/queue-mail";
import { apiKeys, auditEntries, memberships, oneTimeTokens, userProviders, users } from "#schema";

const AT_ONCE = 20;
/** What the audit log calls who is gone for good. */
const NOBODY_NOW = "deleted-user";

/** Removes accounts for good that were deleted fifteen days ago, and tells how many (platform R68, R70). */
export async function purgeDeletedAccounts(ctx: Ctx): Promise<number> {
  const due = await ctx.db.select().from(users).where(isDue(ctx)).orderBy(users.deletedAt).limit(AT_ONCE);
  for (const user of due) await purge(ctx, user);
  if (due.length > 0) await deliverMails(ctx);
  return due.length;
}

async function purge(ctx: Ctx, { id, email, createdAt }: User): Promise<void> {
  const { db } = ctx;
  const letter = await sealLetter(ctx, "account_deleted", email, {});
  await commit(
    db,
    onlyIf(db, sql`EXISTS (SELECT 1 FROM ${users} WHERE ${and(eq(users.id, id), isDue(ctx))})`, "conflict"),
    ...anonymise(db, { id, email, createdAt }),
    db.delete(memberships).where(eq(memberships.userId, id)),
    db.delete(oneTimeTokens).where(eq(oneTimeTokens.userId, id)),
    db.delete(userProviders).where(eq(userProviders.userId, id)),
    db.delete(apiKeys).where(eq(apiKeys.createdBy, id)),
    db.delete(users).where(eq(users.id, id)),
    queueMail(db, letter),
    audit(ctx, "user.purged", id),
  );
}

const isDue = ({ now }: Pick<Ctx, "now">): SQL | undefined =>
  and(eq(users.status, "deleted"), lte(users.deletedAt, now() - DELETED_ACCOUNT_KEPT_MS));

/** Takes name, id and e-mail out of the log; what was done stays. Nothing of the user is older than the account. */
function anonymise(db: Db, user: Pick<User, "id" | "email" | "createdAt">): Statement[] {
  const since = gte(auditEntries.createdAt, user.createdAt);
  const keys = db.select({ id: apiKeys.id }).from(apiKeys).where(eq(apiKeys.createdBy, user.id));
  const byUser = or(eq(auditEntries.actorId, user.id), inArray(auditEntries.actorId, keys));
  const ofUser = sql`json_extract(${auditEntries.metadata}, '$.email') = ${user.email}`;
  return [
    db.update(auditEntries).set({ actorId: "", actorName: NOBODY_NOW, credentialId: null }).where(and(since, byUser)),
    db
      .update(auditEntries)
      .set({ metadata: sql`json_remove(${auditEntries.metadata}, '$.email')` })
      .where(and(since, ofUser)),
  ];
}
