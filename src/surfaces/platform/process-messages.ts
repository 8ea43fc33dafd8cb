import type { SocketPeer } from "#http/socket-peer";
import { Fault } from "#kernel/fault";
import type { ProcessMessage } from "#protocol/capsule-sockets";
import type { ProcessLine } from "#protocol/supervisor";

/** What a client is told of a failure: nothing internal. */
export const wordsOf = (error: unknown): string =>
  error instanceof Fault ? error.message : "something went wrong on our side";

export const bytesOf = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

export const gapWords = (bytes: number): string =>
  `${bytes} bytes of output were left out: the connection was too slow`;

/**
 * Sends what a process says to a client, which is never sent more than it takes. A connection that was lost is an `error`,
 * never an `exit`. Bytes that are not UTF-8 are replaced; a character that comes in two pieces is whole (R218).
 */
export async function tellProcess(
  peer: SocketPeer,
  lines: AsyncIterable<ProcessLine>,
  onStart: (tag: string) => void = () => {},
): Promise<void> {
  const text = new ProcessText();
  try {
    for await (const line of lines) {
      if (line.type === "start") onStart(line.tag);
      for (const message of text.messagesOf(line)) peer.send(message);
      await peer.ready();
    }
  } catch (error) {
    if (peer.closed.aborted) return;
    peer.send({ type: "error", data: wordsOf(error) } satisfies ProcessMessage);
    if (!(error instanceof Fault)) throw error;
  }
}

/** The lines of one process as the contract's messages. */
class ProcessText {
  readonly #decoders = { stdout: decoder(), stderr: decoder() };

  messagesOf(line: ProcessLine): ProcessMessage[] {
    switch (line.type) {
      case "start":
        return [{ type: "start", pid: line.pid }];
      case "data": {
        const stream = line.stream === "stderr" ? "stderr" : "stdout";
        return said(stream, this.#decoders[stream].decode(bytesOf(line.data), { stream: true }));
      }
      case "gap":
        return [...this.#rest(), { type: "error", data: gapWords(line.to - line.from) }];
      case "exit":
        return [...this.#rest(), { type: "exit", exit_code: line.exitCode }];
      case "ping":
        return [];
    }
  }

  /** What is left of characters whose other bytes will not come. */
  #rest(): ProcessMessage[] {
    return (["stdout", "stderr"] as const).flatMap((stream) => said(stream, this.#decoders[stream].decode()));
  }
}

const decoder = () => new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });
const said = (type: "stdout" | "stderr", data: string): ProcessMessage[] => (data === "" ? [] : [{ type, data }]);
