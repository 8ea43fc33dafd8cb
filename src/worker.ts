import { systemActor } from "#domain/actor";
import { sweepEvents } from "#domain/event/announce";
import { purgeEvents } from "#domain/event/retention";
import { sweepPlaces } from "#domain/sandbox/sweep-places";
import { sweepStaleRuns } from "#domain/session/sweep-stale-runs";
import { sweepTeams } from "#domain/team/sweep-teams";
import { newId } from "#kernel/id";
import { contextOf } from "#platform/context";
import { createApp } from "./app.ts";

export { HostObject } from "#objects/host/host-object";
export { PrincipalObject } from "#objects/principal/principal-object";
export { SandboxObject } from "#objects/sandbox/sandbox-object";
export { SessionObject } from "#objects/session/session-object";
export { TeamObject } from "#objects/team/team-object";

const app = createApp(contextOf);

export default {
  fetch: app.fetch,
  async scheduled(_controller, env) {
    const ctx = { ...contextOf(env, newId("operation", Date.now())), actor: systemActor("scheduler") };
    const woken = await sweepStaleRuns(ctx);
    if (woken > 0) ctx.log.warn("sessions with silent runs were woken", { sessions: woken });
    const nudged = await sweepPlaces(ctx);
    if (nudged > 0) ctx.log.warn("silent hosts and sandboxes were woken", { objects: nudged });
    const ended = await sweepTeams(ctx);
    if (ended > 0) ctx.log.warn("what ran in teams that ended was stopped", { teams: ended });
    await sweepEvents(ctx);
    await purgeEvents(ctx);
  },
} satisfies ExportedHandler<Env>;
