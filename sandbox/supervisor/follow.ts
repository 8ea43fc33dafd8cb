import type { Writable } from "node:stream";
import type { ProcessLine } from "#protocol/supervisor";
import { STREAM_PING_MS } from "#protocol/supervisor-values";
import type { BackgroundProcess } from "./background.ts";
import { Bell } from "./bell.ts";
import type { RingRead } from "./ring.ts";

/** A multiple of three: base64 of a whole piece has no padding. */
const PIECE_BYTES = 48 * 1024;

/**
 * Tells a reader of a process's output from an offset on, up to its exit. Nothing is queued for a slow one: it reads on
 * in what the process keeps, and is told of a gap. Answers when all was told or the reader has left.
 */
export async function follow(
  process: BackgroundProcess,
  offset: number,
  out: Writable,
  pingMs = STREAM_PING_MS,
): Promise<void> {
  const { pid, tag } = process.info;
  const bell = new Bell();
  const unsubscribe = process.onNews(bell.ring);
  out.on("drain", bell.ring).on("close", bell.ring);
  out.write(asLine({ type: "start", pid, tag, offset }));
  try {
    for (let at = offset; !out.destroyed; ) {
      const { exit } = process;
      const canSay = !out.writableNeedDrain;
      if (canSay && at < process.ring.end) {
        const read = process.ring.read(at, PIECE_BYTES);
        out.write(asLines(at, read));
        at = read.next;
        process.ownerRead(at);
      } else if (canSay && exit) {
        out.end(asLine({ type: "exit", ...exit }));
        return;
      } else if (!(await bell.heard(pingMs)) && canSay) {
        out.write(asLine({ type: "ping" }));
      }
    }
  } finally {
    unsubscribe();
    out.off("drain", bell.ring).off("close", bell.ring);
  }
}

function asLines(after: number, { from, chunks }: RingRead): string {
  const gap = from > after ? asLine({ type: "gap", from: after, to: from }) : "";
  const data = chunks.map(({ stream, offset, data }) =>
    asLine({ type: "data", stream, offset, data: data.toString("base64") }),
  );
  return gap + data.join("");
}

const asLine = (line: ProcessLine): string => `${JSON.stringify(line)}\n`;
