import { and, eq, gt, lte, type SQL, sql } from "drizzle-orm";
import type { User } from "#domain/account/repo";
import type { Ctx, Db, Statement } from "#domain/context";
import { randomToken, sha256 } from "#kernel/digest";
import { oneTimeTokens, users } from "#schema";

export type LetterTokenKind = "activation" | "password_reset";
type Kept = { hash: string; kind: LetterTokenKind };

/** A new secret for a letter, and what the directory keeps of it: the SHA-256 (platform R80). */
export async function makeLetterToken(
  ctx: Pick<Ctx, "now">,
  { kind, userId, lifeMs }: { kind: LetterTokenKind; userId: string; lifeMs: number },
): Promise<{ token: string; row: typeof oneTimeTokens.$inferInsert }> {
  const [token, createdAt] = [randomToken(), ctx.now()];
  return { token, row: { hash: await sha256(token), kind, userId, createdAt, expiresAt: createdAt + lifeMs } };
}

export function insertToken(db: Db, row: typeof oneTimeTokens.$inferInsert): Statement {
  return db.insert(oneTimeTokens).values(row);
}

export function deleteTokens(db: Db, userId: string, kind: LetterTokenKind): Statement {
  return db.delete(oneTimeTokens).where(and(eq(oneTimeTokens.userId, userId), eq(oneTimeTokens.kind, kind)));
}

/** The user that a live token belongs to. */
export async function findTokenUser(db: Db, { hash, kind }: Kept, now: number): Promise<User | undefined> {
  const [row] = await db
    .select({ user: users })
    .from(oneTimeTokens)
    .innerJoin(users, eq(users.id, oneTimeTokens.userId))
    .where(isLive({ hash, kind }, now));
  return row?.user;
}

/** Holds as long as nobody has used the token; the batch that it guards deletes it (platform R80). */
export const tokenIsLive = (kept: Kept, now: number): SQL =>
  sql`EXISTS (SELECT 1 FROM ${oneTimeTokens} WHERE ${isLive(kept, now)})`;

const isLive = ({ hash, kind }: Kept, now: number) =>
  and(eq(oneTimeTokens.hash, hash), eq(oneTimeTokens.kind, kind), gt(oneTimeTokens.expiresAt, now));

/** Forgets tokens that work no more. */
export async function purgeTokens(ctx: Pick<Ctx, "db" | "now">): Promise<void> {
  await ctx.db.delete(oneTimeTokens).where(lte(oneTimeTokens.expiresAt, ctx.now()));
}
