/** Breaks of lines, and controls that turn the direction of text: nobody's name may forge a line of a message. */
const BREAKS = /[\p{Cc}\p{Zl}\p{Zp}]+/gu;
const DIRECTIONS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const MAX_VALUE = 1_000;

/** One line of at most `max` characters; a character outside the basic plane counts once and is never halved. */
export function oneLine(text: string, max: number): string {
  const line = text.toWellFormed().replace(DIRECTIONS, "").replace(BREAKS, " ").trim();
  const characters = [...line];
  return characters.length <= max ? line : `${characters.slice(0, Math.max(0, max - 1)).join("")}…`;
}

/**
 * What `write` makes of the widest values that keep it within `limit`, as `size` counts it. Values are cut before they
 * are escaped, so no escape is ever cut.
 */
export function widest<T>(limit: number, size: (written: T) => number, write: (maxValue: number) => T): T {
  let [low, high] = [0, MAX_VALUE];
  if (size(write(high)) <= limit) return write(high);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (size(write(middle)) <= limit) low = middle;
    else high = middle;
  }
  return write(low);
}

export const utf8Length = (text: string): number => new TextEncoder().encode(text).byteLength;

const replaced = (table: Record<string, string>) => {
  const pattern = new RegExp(`[${Object.keys(table).join("")}]`, "g");
  return (text: string) => text.replace(pattern, (c) => table[c] ?? c);
};

/** For Slack, which reads `&`, `<` and `>` alone (mentions and links are written with them). */
export const escapeSlack = replaced({ "&": "&amp;", "<": "&lt;", ">": "&gt;" });
/** For HTML text and attributes, as Telegram and Matrix take it. */
export const escapeHtml = replaced({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" });

const DISCORD_MARKS = /[\\*_~`|<>@#[\]():+\-.!]/g;
/** For Discord: a backslash before every character that can begin markup, a mention, a list or a link. */
export const escapeDiscord = (text: string): string => text.replace(DISCORD_MARKS, "\\$&");

/** For Google Chat, which has no escape: code is shown as it is, and `<` no longer begins a mention or link. */
export const codeForGoogleChat = (text: string): string =>
  text === "" ? "" : `\`${text.replaceAll("`", "'").replaceAll("<", "<\u200b")}\``;
