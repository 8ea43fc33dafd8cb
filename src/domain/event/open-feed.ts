import { type Ctx, demand } from "#domain/context";
import { PLATFORM } from "#domain/event/ports";

/** The feed of the team's events, see `protocol/team-feed`: a response that carries a WebSocket. */
export async function openTeamFeed(ctx: Ctx, lastEventId: string | undefined): Promise<Response> {
  demand(ctx.actor, "event:read");
  return ctx.teams.team(ctx.actor.teamId).openFeed(lastEventId);
}

/** The feed of all teams' events, and of the platform's own. */
export async function openPlatformFeed(ctx: Ctx, lastEventId: string | undefined): Promise<Response> {
  demand(ctx.actor, "platform:admin");
  return ctx.teams.team(PLATFORM).openFeed(lastEventId);
}
