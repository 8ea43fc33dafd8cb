import { isUtf8 } from "node:buffer";
import { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { ExecResult } from "#protocol/supervisor";

/** The head of a stream, up to a number of bytes; what follows is dropped. */
export class OutputCapture {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #size = 0;
  truncated = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Buffer): void {
    const room = this.#limit - this.#size;
    if (chunk.length > room) this.truncated = true;
    if (room <= 0) return;
    const kept = chunk.length > room ? Buffer.from(chunk.subarray(0, room)) : chunk;
    this.#chunks.push(kept);
    this.#size += kept.length;
  }

  /** Ends the capture. Text that was cut is cut between characters. */
  take(): Buffer {
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    return this.truncated ? withoutPartialCharacter(bytes) : bytes;
  }
}

function withoutPartialCharacter(bytes: Buffer): Buffer {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0b1100_0000) === 0b1000_0000) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back ? bytes.subarray(0, bytes.length - back) : bytes;
  }
  return bytes;
}

export type ExecOutcome = Omit<ExecResult, "stdout" | "stderr" | "encoding"> & { stdout: Buffer; stderr: Buffer };

/** An `ExecResult` as a stream of JSON text: outputs of megabytes never become one string, small ones are one piece. */
export function resultStream({ stdout, stderr, ...rest }: ExecOutcome): Readable {
  const encoding = isUtf8(stdout) && isUtf8(stderr) ? "utf8" : "base64";
  function* pieces() {
    yield `{"encoding":"${encoding}","stdout":"`;
    yield* encode(stdout, encoding);
    yield '","stderr":"';
    yield* encode(stderr, encoding);
    yield `",${JSON.stringify(rest).slice(1)}`;
  }
  return Readable.from(grouped(pieces()), { objectMode: false });
}

function* grouped(pieces: Iterable<string>): Generator<string> {
  let group = "";
  for (const piece of pieces) {
    group += piece;
    if (group.length < PIECE_BYTES) continue;
    yield group;
    group = "";
  }
  yield group;
}

/** A multiple of three, so that pieces of base64 join without padding. */
const PIECE_BYTES = 48 * 1024;

function* encode(bytes: Buffer, encoding: "utf8" | "base64"): Generator<string> {
  const decoder = new StringDecoder("utf8");
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    const piece = bytes.subarray(at, at + PIECE_BYTES);
    yield encoding === "base64" ? piece.toString("base64") : JSON.stringify(decoder.write(piece)).slice(1, -1);
  }
}
