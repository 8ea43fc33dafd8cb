import type { TeamHandle, TeamPort } from "#domain/event/ports";

/** Teams as objects of the `TEAM` binding; an object's name is its team's id. */
export function teamPort(env: Pick<Env, "TEAM">): TeamPort {
  return {
    team(id) {
      // A stub is broken for good once its object crashed, so each call takes a fresh one.
      const rpc = () => env.TEAM.getByName(id) as unknown as Omit<TeamHandle, "openFeed">;
      return {
        nudge: (upTo) => rpc().nudge(upTo),
        tell: (event) => rpc().tell(event),
        openFeed(lastEventId) {
          const query = new URLSearchParams(lastEventId === undefined ? {} : { "last-event-id": lastEventId });
          const headers = { Upgrade: "websocket" };
          return env.TEAM.getByName(id).fetch(`https://team/feed?${query}`, { headers });
        },
      };
    },
  };
}
