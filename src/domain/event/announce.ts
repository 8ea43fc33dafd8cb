import type { Ctx } from "#domain/context";
import { PLATFORM, type TeamPort } from "#domain/event/ports";
import type { TransientEvent } from "#protocol/team-feed";

/** Tells the logs of a team and of the platform, after a commit, that there is something new. */
export async function announce(teams: TeamPort, teamId: string | null): Promise<void> {
  await Promise.all([teamId, PLATFORM].map((id) => id && teams.team(id).nudge()));
}

/** Tells live readers of a team, and those of all teams, what is not stored. */
export async function tellReaders(teams: TeamPort, event: TransientEvent): Promise<void> {
  await Promise.all([event.teamId, PLATFORM].map((id) => id && teams.team(id).tell(event)));
}

/** Has the platform's log take up what nobody announced; it tells the teams' logs. Run by the minute. */
export const sweepEvents = (ctx: Pick<Ctx, "teams">): Promise<void> => ctx.teams.team(PLATFORM).nudge();
