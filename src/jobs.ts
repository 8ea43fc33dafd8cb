import { purgeTokens } from "#domain/account/letter-tokens";
import { purgeDeletedAccounts } from "#domain/account/purge-deleted-accounts";
import { sweepBuilds } from "#domain/build/sweep-builds";
import type { Ctx } from "#domain/context";
import { sweepEvents } from "#domain/event/announce";
import { purgeEvents } from "#domain/event/retention";
import { deliverMails, purgeMails } from "#domain/mail/deliver-mails";
import { sweepPlaces } from "#domain/sandbox/sweep-places";
import { sweepStaleRuns } from "#domain/session/sweep-stale-runs";
import { sweepTeams } from "#domain/team/sweep-teams";

/** What is done every minute. A job that answers a number tells how much it had to mend. */
const JOBS: Record<string, (ctx: Ctx) => Promise<unknown>> = {
  sweepStaleRuns,
  sweepPlaces,
  sweepTeams,
  sweepBuilds,
  sweepEvents,
  purgeEvents,
  deliverMails,
  purgeMails,
  purgeTokens,
  purgeDeletedAccounts,
};

/** Runs every job; one that fails is logged and keeps none of the others. */
export async function runJobs(ctx: Ctx, jobs = JOBS): Promise<void> {
  for (const [job, work] of Object.entries(jobs)) {
    try {
      const mended = await work(ctx);
      if (typeof mended === "number" && mended > 0) ctx.log.warn("a job had work to do", { job, mended });
    } catch (error) {
      ctx.log.error("a job failed", { job, error });
    }
  }
}
