import { and, asc, eq, lte } from "drizzle-orm";
import type { Ctx } from "#domain/context";
import type { Letter } from "#domain/mail/ports";
import { DAY, HOUR, MINUTE } from "#kernel/time";
import { mails } from "#schema";

type MailCtx = Pick<Ctx, "db" | "log" | "mailer" | "now" | "secrets">;

const MAX_ATTEMPTS = 10;
const AT_ONCE = 25;
/** How long letters are kept: those that nobody delivers are read here, as the outbox of a local deployment. */
const KEPT_MS = 7 * DAY;

/** When to try again after `attempts` failures: twice as long each time, up to six hours. */
export const backoffMs = (attempts: number): number => Math.min(MINUTE * 2 ** (attempts - 1), 6 * HOUR);

/**
 * Hands due letters to the mailer, each at least once: a crash between sending and noting it sends it again. Several may
 * deliver at the same time; taking a letter is one conditional update.
 */
export async function deliverMails(ctx: MailCtx): Promise<void> {
  const due = await ctx.db
    .select({ id: mails.id, attempts: mails.attempts })
    .from(mails)
    .where(lte(mails.dueAt, ctx.now()))
    .orderBy(asc(mails.dueAt))
    .limit(AT_ONCE);
  for (const mail of due) await deliver(ctx, mail);
}

async function deliver(ctx: MailCtx, { id, attempts: before }: { id: string; attempts: number }): Promise<void> {
  const [attempts, now] = [before + 1, ctx.now()];
  const [taken] = await ctx.db
    .update(mails)
    .set({ attempts, dueAt: now + backoffMs(attempts) })
    .where(and(eq(mails.id, id), eq(mails.attempts, before), lte(mails.dueAt, now)))
    .returning({ sealed: mails.sealed });
  if (!taken) return;
  if (attempts > MAX_ATTEMPTS) return giveUp(ctx, id);
  try {
    const letter = JSON.parse(await ctx.secrets.open(taken.sealed, id)) as Letter;
    const sent = (await ctx.mailer.send(letter)) === "sent";
    const settled = sent ? { dueAt: null, sentAt: ctx.now(), sealed: "" } : { dueAt: null };
    await ctx.db.update(mails).set(settled).where(eq(mails.id, id));
  } catch (error) {
    ctx.log.warn("a letter could not be sent", { mail: id, attempts, error });
    if (attempts >= MAX_ATTEMPTS) await giveUp(ctx, id);
  }
}

async function giveUp({ db, log }: MailCtx, id: string): Promise<void> {
  await db.update(mails).set({ dueAt: null }).where(eq(mails.id, id));
  log.error("a letter was given up", { mail: id });
}

export async function purgeMails({ db, now }: Pick<Ctx, "db" | "now">): Promise<void> {
  await db.delete(mails).where(lte(mails.createdAt, now() - KEPT_MS));
}
