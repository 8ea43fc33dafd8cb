import type { Place, Stream } from "#objects/build/store";

/** How long output waits for more, so that many small pieces cost one write. */
const GATHER_MS = 100;
const GATHER_CHARS = 64 * 1024;

type Texts = Partial<Record<Stream, string>>;

/** Gathers what a command says and hands it on in pieces. */
export class Output {
  readonly #decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  readonly #write: (texts: Texts, place: Place) => void;
  #texts: Texts = {};
  #chars = 0;
  #place: Place;
  #timer: number | null = null;

  /** `place` is where an earlier life of the object stood. */
  constructor(place: Place, write: (texts: Texts, place: Place) => void) {
    this.#place = place;
    this.#write = write;
  }

  /** The byte from which on output is wanted. */
  get read(): number {
    return this.#place.read;
  }

  /** Takes bytes that begin at an offset of the command's whole output. */
  take(stream: Stream, offset: number, data: string): void {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    this.#add(stream, this.#decoders[stream].decode(bytes, { stream: true }));
    this.#place = { ...this.#place, read: offset + bytes.length };
  }

  /** Notes that some of the output was lost, because it came faster than it was read. */
  skip(from: number, to: number): void {
    this.#add("stdout", `\n[${to - from} bytes were lost]\n`);
    this.#place = { ...this.#place, read: to };
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#chars === 0) return;
    const texts = this.#texts;
    this.#place = { ...this.#place, told: this.#place.told + this.#chars };
    this.#texts = {};
    this.#chars = 0;
    this.#write(texts, this.#place);
  }

  #add(stream: Stream, text: string): void {
    this.#texts[stream] = (this.#texts[stream] ?? "") + text;
    this.#chars += text.length;
    if (this.#chars >= GATHER_CHARS) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), GATHER_MS);
  }
}
