import { desc, ne } from "drizzle-orm";
import { type Ctx, demand } from "#domain/context";
import type { Letter } from "#domain/mail/ports";
import { mails } from "#schema";

export type KeptMail = Letter & { id: string; kind: string; createdAt: number };

const NEWEST = 200;

/** Letters that no mail service has taken, newest first, opened; of one reader only, when `to` is given. */
export async function listMails(ctx: Ctx, to?: string): Promise<KeptMail[]> {
  demand(ctx.actor, "platform:setup");
  const rows = await ctx.db
    .select()
    .from(mails)
    .where(ne(mails.sealed, ""))
    .orderBy(desc(mails.createdAt), desc(mails.id))
    .limit(NEWEST);
  const opened = await Promise.all(rows.map((row) => open(ctx, row)));
  return opened.flat().filter((mail) => to === undefined || mail.to === to);
}

/** A letter that was sealed under another key is left out: nobody can read it any more. */
async function open(ctx: Ctx, { id, kind, sealed, createdAt }: typeof mails.$inferSelect): Promise<KeptMail[]> {
  try {
    return [{ ...(JSON.parse(await ctx.secrets.open(sealed, id)) as Letter), id, kind, createdAt }];
  } catch (error) {
    ctx.log.warn("a letter cannot be opened", { mail: id, error });
    return [];
  }
}
