import { MultipartScanner } from "#http/multipart-scanner";
import { collectBytes } from "#kernel/bytes";
import { Fault } from "#kernel/fault";

export const FORM_MEDIA = "multipart/form-data";

const MAX_PARTS = 20;
const MAX_HEADERS = 16;
/** The longest that RFC 2046 allows. */
const MAX_BOUNDARY = 70;
const BOUNDARY = /^[\w'()+,./:=? -]*[\w'()+,./:=?-]$/;
/** Encodings that leave the bytes of a part as they are; RFC 7578 has deprecated every other one. */
const PLAIN_ENCODINGS = ["7bit", "8bit", "binary"];

/** How much of a form is still read after its refusal: most clients look for the answer when they have sent everything. */
const READ_AFTER_REFUSAL_BYTES = 256 * 1024 * 1024;

/** One field of a form. Its bytes can be read once, and not any more when the next part was asked for. */
export type Part = {
  name: string;
  /** What the sender calls the file: never a path to trust. Absent when it is no file. */
  filename: string | undefined;
  /** Media type with its parameters, as sent. */
  contentType: string | undefined;
  /** Breaks with `invalid` when the form ends before the part does. */
  body: ReadableStream<Uint8Array>;
};

/** What is read as a form: the unread body of a request, and its headers. */
export type FormRequest = { stream(): ReadableStream<Uint8Array>; header(name: string): string | undefined };

/**
 * Runs `work` on the parts of a `multipart/form-data` body, in the order in which they come; nothing is kept in memory
 * but a chunk. What `work` leaves unread is passed over. Throws `unsupported_media_type` for another kind of body,
 * `invalid` for a form that is broken, cut off, or has too many parts, and `too_large` when a part has more than
 * `partLimitBytes`, also where that only made `work` fail otherwise.
 */
export async function readForm<T>(
  request: FormRequest,
  work: (parts: AsyncIterableIterator<Part>) => Promise<T>,
  partLimitBytes?: number,
): Promise<T> {
  const boundary = boundaryOf(request.header("content-type") ?? "");
  const scanner = new MultipartScanner(request.stream(), boundary, partLimitBytes);
  const all = partsOf(scanner);
  // Without `return`, so that a reader who breaks off has not ended it for those who read the rest.
  const parts: AsyncIterableIterator<Part> = { next: () => all.next(), [Symbol.asyncIterator]: () => parts };
  try {
    const result = await work(parts);
    for await (const _ of parts);
    return result;
  } catch (error) {
    const failure = scanner.failure;
    await scanner.drain(READ_AFTER_REFUSAL_BYTES);
    throw failure ?? error;
  }
}

/** A field's text, of at most `limitBytes`; throws `invalid` when it is longer, or not UTF-8. */
export async function readPartText(part: Part, limitBytes: number): Promise<string> {
  const bytes = await collectBytes(part.body, limitBytes);
  if (!bytes) throw new Fault("invalid", `the field ${part.name} is longer than ${limitBytes} bytes`);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Fault("invalid", `the field ${part.name} is not UTF-8`);
  }
}

async function* partsOf(scanner: MultipartScanner): AsyncGenerator<Part, void> {
  await scanner.begin();
  for (let count = 0; await scanner.opensPart(); count++) {
    if (count === MAX_PARTS) throw new Fault("invalid", `a form has at most ${MAX_PARTS} parts`);
    const described = describe(await readHeaders(scanner));
    const { body, leave } = scanner.partBody();
    yield { ...described, body };
    await leave();
  }
  await scanner.end();
}

/** The boundary between parts, from the `Content-Type` of a form. */
function boundaryOf(contentType: string): string {
  const { value, parameters } = parse(contentType);
  if (value !== FORM_MEDIA)
    throw new Fault("unsupported_media_type", `the content type of the body must be ${FORM_MEDIA}`);
  const boundary = parameters.get("boundary") ?? "";
  if (boundary.length > MAX_BOUNDARY || !BOUNDARY.test(boundary))
    throw new Fault("invalid", "the form has no usable boundary");
  return boundary;
}

async function readHeaders(scanner: MultipartScanner): Promise<Map<string, string>> {
  const headers = new Map<string, string>();
  for (let line = await scanner.line(); line.length > 0; line = await scanner.line()) {
    const text = new TextDecoder().decode(line);
    const colon = text.indexOf(":");
    const name = text.slice(0, colon).toLowerCase();
    if (colon < 1 || /\s/.test(name) || headers.has(name)) throw new Fault("invalid", "a part has a broken header");
    if (headers.size === MAX_HEADERS) throw new Fault("invalid", `a part has at most ${MAX_HEADERS} headers`);
    headers.set(name, text.slice(colon + 1).trim());
  }
  return headers;
}

function describe(headers: Map<string, string>): Omit<Part, "body"> {
  const { value, parameters } = parse(headers.get("content-disposition") ?? "");
  const name = parameters.get("name");
  if (value !== "form-data" || name === undefined) throw new Fault("invalid", "a part does not say which field it is");
  const encoding = headers.get("content-transfer-encoding")?.toLowerCase() ?? "binary";
  if (!PLAIN_ENCODINGS.includes(encoding))
    throw new Fault("invalid", "parts are sent as they are, without an encoding");
  return { name, filename: parameters.get("filename"), contentType: headers.get("content-type") };
}

/** A header's value and its parameters. Text in quotes may hold `\"` and `\\`; other backslashes stand for themselves. */
function parse(header: string): { value: string; parameters: Map<string, string> } {
  const [value = "", ...rest] = splitOutsideQuotes(header);
  const parameters = new Map<string, string>();
  for (const piece of rest) {
    const equals = piece.indexOf("=");
    const name = piece.slice(0, equals).trim().toLowerCase();
    if (equals < 1 || parameters.has(name)) throw new Fault("invalid", "a header has broken parameters");
    parameters.set(name, unquoted(piece.slice(equals + 1).trim()));
  }
  return { value: value.trim().toLowerCase(), parameters };
}

function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  if (text.length < 2 || !text.endsWith('"')) throw new Fault("invalid", "a header has an open quote");
  return text.slice(1, -1).replaceAll(/\\(["\\])/g, "$1");
}

function splitOutsideQuotes(text: string): string[] {
  const pieces: string[] = [];
  let [from, quoted] = [0, false];
  for (let at = 0; at < text.length; at++) {
    const c = text[at];
    if (quoted && c === "\\" && (text[at + 1] === '"' || text[at + 1] === "\\")) at++;
    else if (c === '"') quoted = !quoted;
    else if (c === ";" && !quoted) {
      pieces.push(text.slice(from, at));
      from = at + 1;
    }
  }
  return [...pieces, text.slice(from)].filter((piece, at) => at === 0 || piece.trim() !== "");
}
