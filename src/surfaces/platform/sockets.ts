import { z } from "zod";
import type { ProcessLink } from "#domain/process/ports";
import { asRequest } from "#domain/process/program";
import { reachProcesses } from "#domain/process/reach-processes";
import { Stopper } from "#domain/process/stopper";
import type { SocketPeer } from "#http/socket-peer";
import { type SocketSpec, socketOperation, type Talk } from "#http/upgrade";
import { MINUTE } from "#kernel/time";
import { ExecClientMessage, type ProcessMessage, readMessage } from "#protocol/capsule-sockets";
import { adminSocketTwin } from "#surfaces/platform/admin-twin";
import { tellProcess } from "#surfaces/platform/process-messages";

/** How long a client may take to say what to start. */
const FIRST_MESSAGE_MS = MINUTE;

const MESSAGES =
  'Messages are JSON in text frames. The server sends `{"type":"start","pid":42}`, then `stdout` and `stderr` with ' +
  '`data`, and at last `{"type":"exit","exit_code":0}` or `error` with `data`, after which it closes. An `error` in ' +
  "between tells of output that was left out for a client that is too slow.";

const faults = ["sandbox_not_found", "sandbox_not_running", "host_lost", "sandbox_failed"] as const;

const execStream: SocketSpec<z.ZodObject<{ id: z.ZodString }>> = {
  id: "execStream",
  path: "/v1/capsules/{id}/exec/stream",
  tag: "capsules",
  summary: "Run a command and follow it over a WebSocket",
  description:
    `${MESSAGES} The client first sends \`{"type":"start","cmd":"tail","args":["-f","x.log"]}\`, with \`envs\` and ` +
    '`cwd` if it likes, and may send `{"type":"stop"}` later. The process ends with the connection.',
  permission: "sandbox:write",
  accepts: ["api_key", "session"],
  params: z.object({ id: z.string() }),
  faults,
  open: async (ctx, { params }) => execTalk(await reachProcesses(ctx, params.id, "sandbox:write")),
};

const connectProcess: SocketSpec<z.ZodObject<{ id: z.ZodString; selector: z.ZodString }>> = {
  id: "connectProcess",
  path: "/v1/capsules/{id}/processes/{selector}/stream",
  tag: "capsules",
  summary: "Follow a background process over a WebSocket",
  description:
    `${MESSAGES} Output is told from now on. Nobody owns the process: it runs on when the connection is closed, and ` +
    "others may follow it too.",
  permission: "sandbox:read",
  accepts: ["api_key", "session"],
  params: z.object({
    id: z.string(),
    selector: z.string().describe("A process id when it is all digits, else a tag."),
  }),
  faults,
  open: async (ctx, { params }) => {
    const processes = await reachProcesses(ctx, params.id, "sandbox:read");
    return (peer) => tellProcess(peer, processes.attach(params.selector, "now", peer.closed));
  },
};

const execTalk =
  (processes: ProcessLink): Talk =>
  async (peer) => {
    const [first, ...more] = await peer.take(FIRST_MESSAGE_MS);
    const start = first === undefined ? undefined : readMessage(ExecClientMessage, first);
    if (start?.type !== "start") {
      return peer.send({ type: "error", data: "the first message must be start with a cmd" } satisfies ProcessMessage);
    }
    const { cmd, args = [], envs: env, cwd } = start;
    const stopper = new Stopper(processes);
    const lines = processes.own(asRequest({ command: cmd, args, env, cwd }), peer.closed);
    void listen(peer, more, stopper);
    try {
      await tellProcess(peer, lines, (tag) => stopper.started(tag));
    } finally {
      stopper.end();
    }
  };

/** Hears what else the client says, for as long as the socket is open. */
async function listen(peer: SocketPeer, more: string[], stopper: Stopper): Promise<void> {
  for (let texts = more; !peer.closed.aborted; texts = await peer.take()) {
    if (texts.some((text) => readMessage(ExecClientMessage, text)?.type === "stop")) stopper.stop();
  }
}

export const socketOperations = [
  socketOperation(execStream),
  socketOperation(
    adminSocketTwin(execStream, {
      id: "adminExecStream",
      summary: "Run a command in any team's capsule and follow it over a WebSocket",
      audits: "sandbox.command_streamed",
    }),
  ),
  socketOperation(connectProcess),
  socketOperation(
    adminSocketTwin(connectProcess, {
      id: "adminConnectProcess",
      summary: "Follow a process of any team's capsule over a WebSocket",
      audits: "sandbox.process_followed",
    }),
  ),
];
