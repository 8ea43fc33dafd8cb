import { randomToken, sha256 } from "#kernel/digest";
import { isId } from "#kernel/id";
import { DAY, HOUR, SECOND } from "#kernel/time";

/** How long the one-time registration token, the host's JWT and its refresh token hold (platform rules R309, R315, R316). */
export const REGISTRATION_TTL_MS = HOUR;
export const HOST_JWT_TTL_MS = 7 * DAY;
export const REFRESH_TTL_MS = 60 * DAY;

/** Silence after which a host counts as unreachable (platform rule R324). */
export const UNREACHABLE_AFTER_MS = 90 * SECOND;

type TokenKind = "registration" | "refresh";
const PREFIX: Record<TokenKind, string> = { registration: "lsreg", refresh: "lsref" };

/** A secret that names its host, so that the object which knows its hash is found without a query. */
export async function newHostToken(kind: TokenKind, hostId: string): Promise<{ token: string; hash: string }> {
  const token = `${PREFIX[kind]}.${hostId}.${randomToken()}`;
  return { token, hash: await sha256(token) };
}

/** The host a token was made for and the token's hash, or undefined when it is no token of this kind. */
export async function readHostToken(
  kind: TokenKind,
  token: string,
): Promise<{ hostId: string; hash: string } | undefined> {
  const [prefix, hostId, secret, ...rest] = token.split(".");
  if (prefix !== PREFIX[kind] || !hostId || !secret || rest.length > 0 || !isId("host", hostId)) return undefined;
  return { hostId, hash: await sha256(token) };
}

const LOOPBACK = /^(localhost|127(\.[0-9]{1,3}){3}|\[::1\])$/;

const AGENT_ADDRESS = /^(https:\/\/)?([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?$/i;

/**
 * Where a host agent is reached: `https`, or plain `http` on the machine's own loopback. Undefined unless `address` is
 * `host:port` or an https origin, such as a tunnel's, and nothing else.
 */
export function agentUrl(address: string): { origin: string; loopback: boolean } | undefined {
  const [, scheme, host, port = ""] = AGENT_ADDRESS.exec(address) ?? [];
  if (host === undefined || (scheme === undefined && port === "")) return undefined;
  const parsed = URL.parse(`https://${host}${port}`);
  if (!parsed) return undefined;
  const loopback = LOOPBACK.test(parsed.hostname);
  return {
    origin: `${loopback && scheme === undefined ? "http" : "https"}://${`${host}${port}`.toLowerCase()}`,
    loopback,
  };
}
