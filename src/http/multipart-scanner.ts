import { Fault, type FaultCode } from "#kernel/fault";

const [CR, LF, DASH, SPACE, TAB] = [13, 10, 45, 32, 9];
/** The most that a line of headers, and all that is outside of parts, may take. */
const MAX_LINE_BYTES = 8 * 1024;
const MAX_OUTSIDE_BYTES = 64 * 1024;
const BUFFER_BYTES = 256 * 1024;

/** A part's bytes, and how to leave it: then the rest is passed over, and the scanner is behind its delimiter. */
export type PartBody = { body: ReadableStream<Uint8Array>; leave: () => Promise<void> };

/**
 * Reads a multipart body (RFC 2046) from front to back, as far as it is asked to. All its memory is one buffer, which
 * is used again and again: a chunk holds until the next read.
 */
export class MultipartScanner {
  readonly #reader: ReadableStreamBYOBReader;
  readonly #delimiter: Uint8Array;
  readonly #partLimitBytes: number;
  /** What was read and not used yet, in the buffer. The line break that belongs to a delimiter is implied at the start. */
  #rest: Uint8Array<ArrayBuffer>;
  #giveUpPart: (() => Promise<void>) | undefined;
  #failure: Fault | undefined;
  #over = false;

  constructor(body: ReadableStream<Uint8Array>, boundary: string, partLimitBytes = Number.POSITIVE_INFINITY) {
    this.#reader = body.getReader({ mode: "byob" });
    this.#delimiter = new TextEncoder().encode(`\r\n--${boundary}`);
    this.#partLimitBytes = partLimitBytes;
    this.#rest = new Uint8Array(new ArrayBuffer(BUFFER_BYTES), 0, 2);
    this.#rest.set([CR, LF]);
  }

  /** Why the body is not what it should be, once that was found. */
  get failure(): Fault | undefined {
    return this.#failure;
  }

  /** Passes over what comes before the first delimiter. */
  async begin(): Promise<void> {
    let size = 0;
    for (let chunk = await this.#chunk(); chunk; chunk = await this.#chunk()) {
      size += chunk.length;
      if (size > MAX_OUTSIDE_BYTES) throw this.#fail("the form has too much before its first part");
    }
  }

  /** Behind a delimiter: whether a part follows; false at the end of them. */
  async opensPart(): Promise<boolean> {
    while (this.#rest.length < 2) await this.#more();
    if (this.#rest[0] === DASH && this.#rest[1] === DASH) {
      this.#rest = this.#rest.subarray(2);
      return false;
    }
    const padding = await this.line();
    if (padding.some((byte) => byte !== SPACE && byte !== TAB)) {
      throw this.#fail("a delimiter is followed by something else");
    }
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
    // A write into this stream is over when its reader has copied the bytes, so that the buffer can be used again.
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const sent = this.#send(writer);
    sent.catch(() => {});
    const unblock = () => writer.abort(this.#failure ?? new Error("the part was left")).catch(() => {});
    this.#giveUpPart = async () => {
      await unblock();
      await sent.catch(() => {});
    };
    const leave = async () => {
      await unblock();
      await sent;
    };
    return { body: readable, leave };
  }

  /** Passes over what comes after the last delimiter. */
  async end(): Promise<void> {
    for (let size = this.#rest.length; size <= MAX_OUTSIDE_BYTES; ) {
      this.#rest = this.#rest.subarray(0, 0);
      const chunk = await this.#read();
      if (!chunk) return;
      size += chunk.length;
    }
    throw this.#fail("the form goes on after its last part");
  }

  /** Gives up: reads on and drops everything, up to a number of bytes. What goes wrong meanwhile does not matter. */
  async drain(limitBytes: number): Promise<void> {
    this.#failure ??= new Fault("invalid", "the form was given up");
    await this.#giveUpPart?.();
    for (let size = 0; size < limitBytes; ) {
      this.#rest = this.#rest.subarray(0, 0);
      const chunk = await this.#read();
      if (!chunk) return;
      size += chunk.length;
    }
    await this.#reader.cancel().catch(() => {});
  }

  /** Writes a part's bytes to its reader, for as long as there is one. */
  async #send(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    let wanted = true;
    const dropped = () => {
      wanted = false;
    };
    try {
      let size = 0;
      for (let chunk = await this.#chunk(); chunk; chunk = await this.#chunk()) {
        size += chunk.length;
        if (size > this.#partLimitBytes) {
          throw this.#fail(`a field of the form has more than ${this.#partLimitBytes} bytes`, "too_large");
        }
        if (wanted) await writer.write(chunk).catch(dropped);
      }
      if (wanted) await writer.close().catch(dropped);
    } catch (error) {
      await writer.abort(error).catch(() => {});
      throw error;
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

  /** Adds to what was read. */
  async #more(): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (!(await this.#read())) throw this.#fail("the form ends too early");
  }

  /** What comes next in the body, behind the rest; undefined at its end, and when its sender is gone. */
  async #read(): Promise<Uint8Array | undefined> {
    if (this.#over) return undefined;
    const { buffer, byteOffset, length: held } = this.#rest;
    new Uint8Array(buffer).copyWithin(0, byteOffset, byteOffset + held);
    const room = new Uint8Array(buffer, held);
    const { value } = await this.#reader.readAtLeast(room.length, room).catch(() => ({ value: undefined }));
    if (!value?.length) {
      // The buffer went with the reader's last call.
      [this.#over, this.#rest] = [true, new Uint8Array()];
      return undefined;
    }
    this.#rest = new Uint8Array(value.buffer as ArrayBuffer, 0, held + value.length);
    return value;
  }

  #fail(message: string, code: FaultCode = "invalid"): Fault {
    this.#failure ??= new Fault(code, message);
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
