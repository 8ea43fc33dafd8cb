import { z } from "zod";
import { InputQueue } from "#domain/process/input-queue";
import { type OpenTerminal, rejoinTerminal, startTerminal } from "#domain/process/open-terminal";
import type { ProcessLink } from "#domain/process/ports";
import { reachProcesses } from "#domain/process/reach-processes";
import type { SocketPeer } from "#http/socket-peer";
import { type SocketSpec, socketOperation, type Talk } from "#http/upgrade";
import { Fault } from "#kernel/fault";
import { MINUTE, SECOND } from "#kernel/time";
import { readMessage, TerminalClientMessage, type TerminalMessage } from "#protocol/capsule-sockets";
import type { ProcessLine } from "#protocol/supervisor";
import { adminSocketTwin } from "#surfaces/platform/admin-twin";
import { bytesOf, gapWords, wordsOf } from "#surfaces/platform/process-messages";

const FIRST_MESSAGE_MS = MINUTE;
const PING_EVERY_MS = 30 * SECOND;
const USUAL_SIZE = { cols: 80, rows: 24 };

const DESCRIPTION =
  "Messages are JSON in text frames; the bytes of the terminal are base64. The client first sends " +
  '`{"type":"start"}`, with `cmd`, `args`, `cols`, `rows`, `envs`, `cwd` and `user` if it likes, or ' +
  '`{"type":"connect","tag":"pty-0123abcd"}` to come back to a terminal. Then `input` with `data`, `resize` with `cols` ' +
  'and `rows`, or `kill`. The server sends `{"type":"started","tag":"pty-0123abcd","pid":42}`, `output` with `data`, ' +
  "`exit` with `exit_code`, `error` with `data` and `fatal`, and a `ping` every 30 seconds. A terminal goes on when its " +
  "connections are closed, and may have several: all see its output and may type.";

const ptySession: SocketSpec<z.ZodObject<{ id: z.ZodString }>> = {
  id: "ptySession",
  path: "/v1/capsules/{id}/pty",
  tag: "capsules",
  summary: "Use a terminal over a WebSocket",
  description: DESCRIPTION,
  permission: "sandbox:write",
  accepts: ["api_key", "session"],
  params: z.object({ id: z.string() }),
  faults: ["sandbox_not_found", "sandbox_not_running", "host_lost", "sandbox_failed"],
  open: async (ctx, { params }) => terminalTalk(await reachProcesses(ctx, params.id, "sandbox:write")),
};

const say = (peer: SocketPeer, message: TerminalMessage) => peer.send(message);

const terminalTalk =
  (processes: ProcessLink): Talk =>
  async (peer) => {
    const pings = setInterval(() => say(peer, { type: "ping" }), PING_EVERY_MS);
    try {
      const [first = "", ...more] = await peer.take(FIRST_MESSAGE_MS);
      const { tag, lines } = await open(processes, readMessage(TerminalClientMessage, first), peer.closed);
      void listen(peer, more, new Terminal(processes, tag, peer));
      for await (const line of lines) {
        const message = messageOf(line);
        if (message) say(peer, message);
        await peer.ready();
      }
    } catch (error) {
      if (peer.closed.aborted) return;
      say(peer, { type: "error", data: wordsOf(error), fatal: true });
      if (!(error instanceof Fault)) throw error;
    } finally {
      clearInterval(pings);
    }
  };

async function open(
  processes: ProcessLink,
  message: TerminalClientMessage | undefined,
  closed: AbortSignal,
): Promise<OpenTerminal> {
  if (message?.type === "connect") return rejoinTerminal(processes, message.tag, closed);
  if (message?.type !== "start") throw new Fault("invalid", "the first message must be start, or connect with a tag");
  const { cmd: command, args, cols, rows, envs: env, cwd, user } = message;
  const size = { cols: cols ?? USUAL_SIZE.cols, rows: rows ?? USUAL_SIZE.rows };
  return startTerminal(processes, { command, args, size, env, cwd, user }, closed);
}

function messageOf(line: ProcessLine): TerminalMessage | undefined {
  switch (line.type) {
    case "start":
      return { type: "started", tag: line.tag, pid: line.pid };
    case "data":
      return { type: "output", data: line.data };
    case "gap":
      return { type: "error", data: gapWords(line.to - line.from), fatal: false };
    case "exit":
      return { type: "exit", exit_code: line.exitCode };
    case "ping":
      return undefined;
  }
}

/** Hears what else the client says, for as long as the socket is open. */
async function listen(peer: SocketPeer, more: string[], terminal: Terminal): Promise<void> {
  for (let texts = more; !peer.closed.aborted; texts = await peer.take()) {
    for (const text of texts) terminal.do(readMessage(TerminalClientMessage, text));
  }
}

/** What one viewer does to a terminal. Typing waits for its turn; nothing else waits for a process that does not read. */
class Terminal {
  readonly #processes: ProcessLink;
  readonly #tag: string;
  readonly #input: InputQueue;
  readonly #complain: (error: unknown) => void;

  constructor(processes: ProcessLink, tag: string, peer: SocketPeer) {
    this.#processes = processes;
    this.#tag = tag;
    this.#complain = (error) => say(peer, { type: "error", data: wordsOf(error), fatal: false });
    this.#input = new InputQueue((bytes) => processes.write(tag, bytes), this.#complain);
  }

  /** What is no message of an open terminal is ignored. */
  do(message: TerminalClientMessage | undefined): void {
    if (message?.type === "input") this.#type(message.data);
    if (message?.type === "resize") this.#resize(message);
    if (message?.type === "kill") this.#processes.kill(this.#tag, "SIGKILL").catch(this.#complain);
  }

  #type(data: string): void {
    const bytes = decoded(data);
    if (!bytes || bytes.byteLength === 0 || this.#input.add(bytes)) return;
    this.#complain(new Fault("conflict", "input was dropped: the process does not read it"));
  }

  #resize({ cols, rows }: { cols?: number | undefined; rows?: number | undefined }): void {
    if (cols === undefined || rows === undefined) return;
    this.#processes.resize(this.#tag, { cols, rows }).catch(this.#complain);
  }
}

function decoded(base64: string): Uint8Array | undefined {
  try {
    return bytesOf(base64);
  } catch {
    return undefined;
  }
}

export const terminalOperations = [
  socketOperation(ptySession),
  socketOperation(
    adminSocketTwin(ptySession, {
      id: "adminPtySession",
      summary: "Use a terminal in any team's capsule over a WebSocket",
      audits: "sandbox.terminal_opened",
    }),
  ),
];
