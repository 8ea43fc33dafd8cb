import type { OutputStream } from "#protocol/supervisor-values";

/** Some bytes of one stream; `data` is a view that the next push may overwrite. */
export type OutputChunk = { stream: OutputStream; offset: number; data: Buffer };

/** `from` is where the chunks begin: later than asked for when older bytes are gone. `next` is where to read on. */
export type RingRead = { from: number; chunks: OutputChunk[]; next: number };

/** Bytes of one stream without a break; it ends where the next run begins. */
type Run = { stream: OutputStream; offset: number };

const SMALLEST_BYTES = 4096;
/** Streams that take turns byte by byte cost more to remember than their bytes. */
const MOST_RUNS = 4096;

/** The newest bytes of a process's output. Offsets count all bytes there ever were, on all streams together. */
export class OutputRing {
  readonly capacity: number;
  #bytes: Buffer;
  #runs: Run[] = [];
  #start = 0;
  #end = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#bytes = Buffer.alloc(Math.min(SMALLEST_BYTES, capacity));
  }

  /** Offset of the oldest byte that is kept. */
  get start(): number {
    return this.#start;
  }

  /** Offset of the byte to come. */
  get end(): number {
    return this.#end;
  }

  /** Bytes of memory it takes. */
  get size(): number {
    return this.#bytes.length;
  }

  push(stream: OutputStream, bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#runs.at(-1)?.stream !== stream) this.#runs.push({ stream, offset: this.#end });
    this.#grow(this.#end - this.#start + bytes.length);
    const kept = bytes.subarray(Math.max(0, bytes.length - this.#bytes.length));
    this.#end += bytes.length;
    this.#start = Math.max(this.#start, this.#end - this.#bytes.length);
    this.#write(kept, this.#end - kept.length);
    this.#forget();
  }

  /** At most `limit` bytes from an offset on, which must not lie ahead. */
  read(after: number, limit: number): RingRead {
    const from = Math.max(after, this.#start);
    const until = Math.min(this.#end, from + limit);
    const chunks: OutputChunk[] = [];
    for (let index = this.#runAt(from), at = from; at < until; index++) {
      const run = this.#runs[index];
      if (!run) break;
      const runEnd = Math.min(until, this.#runs[index + 1]?.offset ?? until);
      while (at < runEnd) {
        const place = at % this.#bytes.length;
        const data = this.#bytes.subarray(place, place + Math.min(runEnd - at, this.#bytes.length - place));
        chunks.push({ stream: run.stream, offset: at, data });
        at += data.length;
      }
    }
    return { from, chunks, next: until };
  }

  #write(bytes: Buffer, offset: number): void {
    const place = offset % this.#bytes.length;
    const head = bytes.copy(this.#bytes, place);
    bytes.copy(this.#bytes, 0, head);
  }

  /** Doubles the memory until it holds `wanted` bytes or all it may. */
  #grow(wanted: number): void {
    if (wanted <= this.#bytes.length || this.#bytes.length === this.capacity) return;
    let size = this.#bytes.length;
    while (size < wanted && size < this.capacity) size *= 2;
    const { chunks } = this.read(this.#start, this.#end - this.#start);
    this.#bytes = Buffer.alloc(Math.min(size, this.capacity));
    for (const { data, offset } of chunks) this.#write(data, offset);
  }

  /** When there are too many runs: drops those whose bytes are gone, and half of them in any case. */
  #forget(): void {
    if (this.#runs.length <= MOST_RUNS) return;
    this.#runs.splice(0, Math.max(this.#runAt(this.#start), MOST_RUNS / 2));
    this.#start = Math.max(this.#start, this.#runs[0]?.offset ?? 0);
  }

  /** Index of the run that an offset is in. */
  #runAt(offset: number): number {
    let low = 0;
    let high = this.#runs.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#runs[middle]?.offset ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
