const NOTE_ROOM = 80;

/** Cuts text to at most `limit` characters, keeping its head and its tail and saying how much is missing. */
export function cutMiddle(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const keep = Math.max(0, limit - NOTE_ROOM);
  const head = text.slice(0, splitPoint(text, Math.ceil(keep / 2)));
  const tail = text.slice(splitPoint(text, text.length - Math.floor(keep / 2)));
  return `${head}\n\n[... ${text.length - head.length - tail.length} characters left out ...]\n\n${tail}`;
}

/** Cuts a line to at most `limit` characters, marking the cut. */
export function cutLine(line: string, limit: number): string {
  return line.length <= limit ? line : `${line.slice(0, splitPoint(line, limit))}... [line cut]`;
}

/** The nearest index at or before `at` that does not split a surrogate pair. */
function splitPoint(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff ? at - 1 : at;
}

/** Text of a tool for `count` things, `1 file` or `2 files`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
