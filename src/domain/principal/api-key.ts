import { randomToken } from "#kernel/digest";
import { ID_PREFIXES, isId } from "#kernel/id";

/** Callers without a credential share this principal; set-up enrols it for the first team. */
export const ANONYMOUS_PRINCIPAL = "anonymous";
/** Not a secret: the principal is only asked for after the request was found to come from this machine. */
export const ANONYMOUS_SECRET = "anonymous";

const SHAPE = /^lsk_([0-9a-z]{20})_[A-Za-z0-9_-]{43}$/;

/** A new key as it is shown, once: `lsk_`, the id's unique part, `_`, 32 random bytes. */
export const makeApiKey = (id: string): string => `lsk_${id.slice(ID_PREFIXES.apiKey.length + 1)}_${randomToken(32)}`;

/** The id of the key that `text` claims to be, or undefined when it has not the shape of one. */
export function parseApiKey(text: string): { id: string } | undefined {
  const [, unique] = SHAPE.exec(text) ?? [];
  const id = `${ID_PREFIXES.apiKey}_${unique}`;
  return unique && isId("apiKey", id) ? { id } : undefined;
}

/** What lists show of a key so that people can tell keys apart. */
export const apiKeyPrefix = (key: string): string => key.slice(0, 12);
