import type { Ctx } from "#domain/context";
import { PLATFORM, type TeamPort } from "#domain/event/ports";

/** Tells the logs of a team and of the platform, after a commit, that there is something new. */
export async function announce(teams: TeamPort, teamId: string | null): Promise<void> {
  await Promise.all([teamId, PLATFORM].map((id) => id && teams.team(id).nudge()));
}

/** Has the platform's log take up what nobody announced; it tells the teams' logs. Run by the minute. */
export const sweepEvents = (ctx: Pick<Ctx, "teams">): Promise<void> => ctx.teams.team(PLATFORM).nudge();
