import { randomHex, randomToken, sha256 } from "#kernel/digest";
import { ID_PREFIXES, isId } from "#kernel/id";
import { HOUR } from "#kernel/time";

/** Callers without a credential share this principal; set-up enrols it for the first team. */
export const ANONYMOUS_PRINCIPAL = "anonymous";
/** Not a secret: the principal is only asked for after the request was found to come from this machine. */
export const ANONYMOUS_SECRET = "anonymous";

/** A session ends when it was not used for this long, and at the latest after its whole life (platform R43, R44). */
export const SESSION_IDLE_MS = 6 * HOUR;
export const SESSION_LIFE_MS = 24 * HOUR;

const API_KEY = /^wrn_[0-9a-f]{32}$/;

/** A new key as it is shown, once: `wrn_` and 16 random bytes in hex (platform R107). */
export const makeApiKey = (): string => `wrn_${randomHex(16)}`;

export const isApiKey = (text: string): boolean => API_KEY.test(text);

/** What lists show of a key so that people can tell keys apart. */
export const apiKeyPrefix = (key: string): string => key.slice(0, 12);

/** The principal of a key. The key's hash names it, because the key itself has no room for an id. */
export const keyPrincipal = (secretHash: string): string => `key:${secretHash}`;

/** The principal of a user, which holds the user's sessions. */
export const userPrincipal = (userId: string): string => userId;

/** The principal that counts what comes from an address. */
export const addressPrincipal = (address: string): string => `address:${address}`;

const SESSION = /^([0-9a-z]{20})\.[A-Za-z0-9_-]{43}$/;

/** A new session's secret: the unique part of the user's id, so that the session is found, and 32 random bytes. */
export const makeSessionToken = (userId: string): string =>
  `${userId.slice(ID_PREFIXES.user.length + 1)}.${randomToken(32)}`;

/** The user whose session `token` claims to be, or undefined when it has not the shape of one. */
export function userOfSession(token: string): string | undefined {
  const [, unique] = SESSION.exec(token) ?? [];
  const userId = `${ID_PREFIXES.user}_${unique}`;
  return unique && isId("user", userId) ? userId : undefined;
}

/** The anti-forgery value of a session. It follows from the secret and tells nothing about it. */
export const csrfTokenOf = (sessionToken: string): Promise<string> => sha256(`csrf\n${sessionToken}`);
