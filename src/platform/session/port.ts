import type { SessionHandle, SessionPort } from "#domain/session/ports";

/** Sessions as objects of the `SESSION` binding; an object's name is its session's id. */
export function sessionPort(env: Pick<Env, "SESSION">): SessionPort {
  return {
    session(id) {
      const stub = env.SESSION.getByName(id);
      // The generated RPC types wrap every result; at run time the methods are those of the handle.
      const rpc = stub as unknown as Omit<SessionHandle, "openFeed">;
      return {
        adopt: (session) => rpc.adopt(session),
        get: (teamId) => rpc.get(teamId),
        send: (input) => rpc.send(input),
        listMessages: (teamId, page) => rpc.listMessages(teamId, page),
        getMessage: (teamId, messageId) => rpc.getMessage(teamId, messageId),
        queue: (teamId) => rpc.queue(teamId),
        getRun: (teamId, runId) => rpc.getRun(teamId, runId),
        listSteps: (teamId, runId, page) => rpc.listSteps(teamId, runId, page),
        cancel: (teamId, runId) => rpc.cancel(teamId, runId),
        guide: (teamId, runId) => rpc.guide(teamId, runId),
        destroy: (teamId) => rpc.destroy(teamId),
        nudge: () => rpc.nudge(),
        openFeed({ teamId, after, runId }) {
          const query = new URLSearchParams({
            team: teamId,
            after: String(after),
            ...(runId !== null && { run: runId }),
          });
          return stub.fetch(`https://session/feed?${query}`, { headers: { Upgrade: "websocket" } });
        },
      };
    },
  };
}
