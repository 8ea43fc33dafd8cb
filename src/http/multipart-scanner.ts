import { Fault } from "#kernel/fault";

const [CR, LF, DASH, SPACE, TAB] = [13, 10, 45, 32, 9];
/** The most that a line of headers, and all that is outside of parts, may take. */
const MAX_LINE_BYTES = 8 * 1024;
const MAX_OUTSIDE_BYTES = 64 * 1024;

/** A part's bytes, and how to leave it: then the rest is passed over, and the scanner is behind its delimiter. */
export type PartBody = { body: ReadableStream<Uint8Array>; leave: () => Promise<void> };

/**
 * Reads a multipart body (RFC 2046) from front to back, as far as it is asked to. It holds one chunk and what of the one
 * before could be the start of a delimiter.
 */
export class MultipartScanner {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #delimiter: Uint8Array;
  /** What was read and not used yet. The line break that belongs to a delimiter is implied at the very start. */
  #rest: Uint8Array = Uint8Array.of(CR, LF);
  /** Reads are one after the other, also when a part's reader was left while it waits for a chunk. */
  #turn: Promise<unknown> = Promise.resolve();
  #failure: Fault | undefined;

  constructor(body: ReadableStream<Uint8Array>, boundary: string) {
    this.#reader = body.getReader();
    this.#delimiter = new TextEncoder().encode(`\r\n--${boundary}`);
  }

  /** Why the body is not what it should be, once that was found. */
  get failure(): Fault | undefined {
    return this.#failure;
  }

  /** Passes over what comes before the first delimiter. */
  begin(): Promise<void> {
    return this.#skip(MAX_OUTSIDE_BYTES);
  }

  /** Behind a delimiter: whether a part follows; false at the end of them. */
  async opensPart(): Promise<boolean> {
    while (this.#rest.length < 2) await this.#more();
    if (this.#rest[0] === DASH && this.#rest[1] === DASH) {
      this.#rest = this.#rest.subarray(2);
      return false;
    }
    const padding = await this.line();
    if (padding.some((byte) => byte !== SPACE && byte !== TAB))
      throw this.#fail("a delimiter is followed by something else");
    return true;
  }

  /** The next line of headers without its line break; empty when the headers are over. */
  async line(): Promise<Uint8Array> {
    for (;;) {
      const at = this.#rest.indexOf(LF);
      if (at > MAX_LINE_BYTES || (at === -1 && this.#rest.length > MAX_LINE_BYTES)) {
        throw this.#fail(`a header of a part is longer than ${MAX_LINE_BYTES} bytes`);
      }
      if (at === -1) {
        await this.#more();
        continue;
      }
      if (this.#rest[at - 1] !== CR) throw this.#fail("lines of headers end with CR LF");
      const line = this.#rest.subarray(0, at - 1);
      this.#rest = this.#rest.subarray(at + 1);
      return line;
    }
  }

  partBody(): PartBody {
    const state = { over: false };
    const next = async () => {
      const chunk = state.over ? null : await this.#chunk();
      state.over ||= chunk === null;
      return chunk;
    };
    const inTurn = () => {
      const chunk = this.#turn.then(next);
      this.#turn = chunk.catch(() => {});
      return chunk;
    };
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
      const chunk = await inTurn();
      if (chunk) controller.enqueue(chunk);
      else controller.close();
    };
    const leave = async () => {
      while (await inTurn());
    };
    return { body: new ReadableStream({ pull }, { highWaterMark: 0 }), leave };
  }

  /** Passes over what comes after the last delimiter. */
  async end(): Promise<void> {
    for (let size = this.#rest.length; size <= MAX_OUTSIDE_BYTES; ) {
      const chunk = await this.#read();
      if (!chunk) return;
      size += chunk.length;
    }
    throw this.#fail("the form goes on after its last part");
  }

  /** Gives up: reads on and drops everything, up to a number of bytes. What goes wrong meanwhile does not matter. */
  async drain(limitBytes: number): Promise<void> {
    this.#failure ??= new Fault("invalid", "the form was given up");
    await this.#turn;
    for (let size = 0; size < limitBytes; ) {
      const chunk = await this.#read();
      if (!chunk) return;
      size += chunk.length;
    }
    await this.#reader.cancel().catch(() => {});
  }

  async #skip(limitBytes: number): Promise<void> {
    let size = 0;
    for (let chunk = await this.#chunk(); chunk; chunk = await this.#chunk()) {
      size += chunk.length;
      if (size > limitBytes) throw this.#fail("the form has too much before its first part");
    }
  }

  /** More of what comes before the next delimiter; null when that was reached, and then the scanner is behind it. */
  async #chunk(): Promise<Uint8Array | null> {
    for (;;) {
      const { at, whole } = findDelimiter(this.#rest, this.#delimiter);
      if (at > 0) {
        const chunk = this.#rest.subarray(0, at);
        this.#rest = this.#rest.subarray(at);
        return chunk;
      }
      if (whole) {
        this.#rest = this.#rest.subarray(this.#delimiter.length);
        return null;
      }
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    if (this.#failure) throw this.#failure;
    const chunk = await this.#read();
    if (!chunk) throw this.#fail("the form ends too early");
    this.#rest = this.#rest.length === 0 ? chunk : joined(this.#rest, chunk);
  }

  /** The next chunk of the body; undefined at its end, and when its sender is gone. */
  async #read(): Promise<Uint8Array | undefined> {
    const { value } = await this.#reader.read().catch(() => ({ value: undefined }));
    return value;
  }

  #fail(message: string): Fault {
    this.#failure ??= new Fault("invalid", message);
    return this.#failure;
  }
}

/** Where the delimiter is or, at the very end, could begin; the length of `bytes` when it is nowhere. */
function findDelimiter(bytes: Uint8Array, delimiter: Uint8Array): { at: number; whole: boolean } {
  for (let at = bytes.indexOf(CR); at !== -1; at = bytes.indexOf(CR, at + 1)) {
    const most = Math.min(delimiter.length, bytes.length - at);
    let same = 1;
    while (same < most && bytes[at + same] === delimiter[same]) same++;
    if (same === most) return { at, whole: most === delimiter.length };
  }
  return { at: bytes.length, whole: false };
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
