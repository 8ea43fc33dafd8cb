import type { Ctx, Db, Statement } from "#domain/context";
import { type LetterData, type LetterKind, letterOf } from "#domain/mail/letters";
import { mails } from "#schema";

export type SealedLetter = typeof mails.$inferInsert;

/**
 * Writes a letter and seals it, because it holds a secret or an address. Give the result to `queueMail` in the batch of
 * the change that the letter tells of, and call `ctx.defer(() => deliverMails(ctx))` after it.
 */
export async function sealLetter<K extends LetterKind>(
  ctx: Pick<Ctx, "appUrl" | "newId" | "now" | "secrets">,
  kind: K,
  to: string,
  data: LetterData[K],
): Promise<SealedLetter> {
  const [id, createdAt] = [ctx.newId("mail"), ctx.now()];
  const sealed = await ctx.secrets.seal(JSON.stringify(letterOf(kind, to, data, ctx.appUrl)), id);
  return { id, kind, sealed, createdAt, dueAt: createdAt };
}

export function queueMail(db: Db, letter: SealedLetter): Statement {
  return db.insert(mails).values(letter);
}
