import { collectBytes } from "#kernel/bytes";
import { Fault } from "#kernel/fault";

const MAX_JSON_DEPTH = 100;
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

/** The media type of a body, without parameters. */
export const mediaOf = (request: Request): string | undefined =>
  request.headers.get("content-type")?.split(";", 1)[0]?.trim().toLowerCase();

/** Throws `unsupported_media_type` unless the body is of the given media type, whatever its parameters. */
export function demandMedia(request: Request, wanted: string): void {
  if (mediaOf(request) !== wanted)
    throw new Fault("unsupported_media_type", `the content type of the body must be ${wanted}`);
}

/**
 * The text of a JSON body from a stranger: of bounded size and depth, because later steps walk it recursively, and
 * without ill-formed Unicode. Whether it is JSON at all is left to whoever parses it. Throws `too_large` or `invalid`.
 */
export async function readJsonText(request: Request, limitBytes: number): Promise<string> {
  const text = await readText(request, limitBytes);
  demandHarmless(text);
  return text;
}

async function readText(request: Request, limitBytes: number): Promise<string> {
  const tooLarge = () => new Fault("too_large", `the body is larger than ${limitBytes} bytes`);
  if (Number(request.headers.get("content-length") ?? 0) > limitBytes) throw tooLarge();
  if (!request.body) return "";
  const bytes = await collectBytes(request.body, limitBytes);
  if (!bytes) throw tooLarge();
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw new Fault("invalid", "the body is not valid UTF-8");
  }
}

/** Refuses JSON that is empty, nests too deep, or spells half a surrogate pair; throws `invalid`. */
export function demandHarmless(text: string): void {
  if (text.trim() === "") throw new Fault("invalid", "a JSON body is required");
  if (depthOf(text) > MAX_JSON_DEPTH) throw new Fault("invalid", `the body nests deeper than ${MAX_JSON_DEPTH} levels`);
  if (SURROGATE_ESCAPE.test(text)) demandWellFormed(text);
}

function demandWellFormed(text: string): void {
  try {
    JSON.parse(text, (key, value) => {
      if (!key.isWellFormed() || (typeof value === "string" && !value.isWellFormed())) throw notWellFormed();
      return value;
    });
  } catch (error) {
    throw error instanceof Fault ? error : new Fault("invalid", "the body is not valid JSON");
  }
}

const notWellFormed = () => new Fault("invalid", "the body holds text that is not well-formed Unicode");

/** Deepest nesting of brackets outside strings; one pass over the text. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === 92) i++;
      else if (c === 34) inString = false;
    } else if (c === 34) inString = true;
    else if (c === 123 || c === 91) deepest = Math.max(deepest, ++depth);
    else if (c === 125 || c === 93) depth--;
  }
  return deepest;
}
