import type { MessagePage, SendInput, SendReceipt, SessionHandle, SessionPort } from "#domain/session/ports";
import type { Message } from "#domain/session/values";
import { ok, type Result } from "#kernel/fault";
import { fromWire, toWire, type Wire } from "#platform/session/wire";

/** The object's own methods. The generated RPC types wrap every result; at run time these are the types. */
type SessionRpc = Omit<SessionHandle, "openFeed" | "queue" | "send" | "listMessages" | "getMessage"> & {
  listQueue: SessionHandle["queue"];
  send(input: Wire<SendInput>): Promise<Result<SendReceipt>>;
  listMessages(teamId: string, page: MessagePage): Promise<Result<{ items: Wire<Message>[]; more: boolean }>>;
  getMessage(teamId: string, messageId: string): Promise<Result<Wire<Message>>>;
};

/** Sessions as objects of the `SESSION` binding; an object's name is its session's id. */
export function sessionPort(env: Pick<Env, "SESSION">): SessionPort {
  return {
    session(id) {
      // A stub is broken for good once its object crashed, so each call takes a fresh one.
      const rpc = () => env.SESSION.getByName(id) as unknown as SessionRpc;
      return {
        adopt: (session) => rpc().adopt(session),
        get: (teamId) => rpc().get(teamId),
        send: (input) => rpc().send(toWire(input)),
        async listMessages(teamId, page) {
          const read = await rpc().listMessages(teamId, page);
          return read.ok ? ok({ ...read.value, items: read.value.items.map((item) => fromWire(item)) }) : read;
        },
        async getMessage(teamId, messageId) {
          const read = await rpc().getMessage(teamId, messageId);
          return read.ok ? ok(fromWire(read.value)) : read;
        },
        queue: (teamId) => rpc().listQueue(teamId),
        getRun: (teamId, runId) => rpc().getRun(teamId, runId),
        listSteps: (teamId, runId, page) => rpc().listSteps(teamId, runId, page),
        cancel: (teamId, runId) => rpc().cancel(teamId, runId),
        guide: (teamId, runId) => rpc().guide(teamId, runId),
        destroy: (teamId) => rpc().destroy(teamId),
        nudge: () => rpc().nudge(),
        openFeed({ teamId, after, runId }) {
          const query = new URLSearchParams({
            team: teamId,
            after: String(after),
            ...(runId !== null && { run: runId }),
          });
          const headers = { Upgrade: "websocket" };
          return env.SESSION.getByName(id).fetch(`https://session/feed?${query}`, { headers });
        },
      };
    },
  };
}
