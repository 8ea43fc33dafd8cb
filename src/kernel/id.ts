/** Every kind of thing that has an id, and the prefix its ids carry. */
export const ID_PREFIXES = {
  user: "usr",
  team: "team",
  apiKey: "key",
  workspace: "ws",
  sandbox: "sb",
  template: "tpl",
  build: "bld",
  host: "host",
  session: "ses",
  run: "run",
  message: "msg",
  step: "step",
  audit: "log",
  channel: "ch",
  mail: "mail",
  event: "evt",
  operation: "op",
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const TIME_CHARS = 10;
const RANDOM_CHARS = 10;

/**
 * A time-ordered id: prefix, `_`, and 20 lower-case base-32 characters, of which the first 10 are milliseconds and
 * the rest come from `random` (at least 10 bytes).
 */
export function makeId(kind: IdKind, now: number, random: Uint8Array): string {
  let time = "";
  let rest = now;
  for (let i = 0; i < TIME_CHARS; i++) {
    time = ALPHABET[rest % 32] + time;
    rest = Math.floor(rest / 32);
  }
  let tail = "";
  for (let i = 0; i < RANDOM_CHARS; i++) tail += ALPHABET[(random[i] ?? 0) % 32];
  return `${ID_PREFIXES[kind]}_${time}${tail}`;
}

export const newId = (kind: IdKind, now: number): string =>
  makeId(kind, now, crypto.getRandomValues(new Uint8Array(RANDOM_CHARS)));

const UNIQUE_PART = /^[0-9a-hjkmnp-tv-z]{20}$/;

/** True when `id` has the shape of an id of this kind; says nothing about its existence. */
export function isId(kind: IdKind, id: string): boolean {
  const prefix = `${ID_PREFIXES[kind]}_`;
  return id.startsWith(prefix) && UNIQUE_PART.test(id.slice(prefix.length));
}

type SessionPart = "run" | "message" | "step";

/** Ids of runs, messages and steps carry their session, so the object that owns them is found without a query. */
export function partId(kind: SessionPart, sessionId: string, n: number): string {
  return `${ID_PREFIXES[kind]}_${sessionId.slice(ID_PREFIXES.session.length + 1)}_${n}`;
}

/** The session of a run, message or step id, or undefined when `id` is not one. */
export function sessionOf(kind: SessionPart, id: string): string | undefined {
  const [prefix, unique, n, ...rest] = id.split("_");
  if (prefix !== ID_PREFIXES[kind] || !unique || !n || rest.length > 0) return undefined;
  if (!UNIQUE_PART.test(unique) || !/^[1-9][0-9]{0,8}$/.test(n)) return undefined;
  return `${ID_PREFIXES.session}_${unique}`;
}
