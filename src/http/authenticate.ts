import type { Actor } from "#domain/actor";
import { verifyHostToken } from "#domain/host/verify-host-token";
import {
  ANONYMOUS_PRINCIPAL,
  ANONYMOUS_SECRET,
  isApiKey,
  keyPrincipal,
  userOfSession,
  userPrincipal,
} from "#domain/principal/values";
import { clearSessionCookies, cookiesNamed } from "#http/cookies";
import { type CredentialKind, SESSION_COOKIE } from "#http/credentials";
import { demandNoForgery } from "#http/csrf";
import { isFromLoopback } from "#http/loopback";
import type { AuthSettings, BaseCtx } from "#http/surface";
import { sha256 } from "#kernel/digest";
import { Fault, unwrap } from "#kernel/fault";

/** What a request is authenticated with; a header that is present decides, and cookies are looked at last (R11). */
export type AuthRequest = {
  request: Request;
  settings: AuthSettings;
  /** Kinds that the operation takes; any other one is refused (R12, R13, T4). */
  accepts: readonly CredentialKind[];
  /** Headers of the answer: a cookie that is worth nothing is taken back (R16). */
  answer: Headers;
  /** Told who the session belongs to, before a forgery in its name is refused. */
  identified?: (actor: Actor) => void;
};

/**
 * Turns the credential of a request into its actor, in one hop to the credential's object. A credential that is present
 * and wrong is refused even where anonymous callers are let in.
 */
export async function authenticate(base: BaseCtx, auth: AuthRequest): Promise<Actor> {
  const { request, settings, accepts } = auth;
  const key = request.headers.get("x-api-key") ?? bearerOf(request);
  if (key !== null) return ofApiKey(base, key, accepts);
  const hostToken = request.headers.get("x-host-token");
  if (hostToken !== null && accepts.includes("host")) return unwrap(await verifyHostToken(base, hostToken));
  if (hostToken !== null) throw notValid();
  const sessions = cookiesNamed(request, SESSION_COOKIE);
  if (sessions.length > 0) return ofSession(base, sessions, auth);
  if (accepts.includes("api_key") && settings.anonymous && isFromLoopback(request)) {
    return unwrap(await base.principals.principal(ANONYMOUS_PRINCIPAL).verify(await sha256(ANONYMOUS_SECRET)));
  }
  throw new Fault("unauthenticated", "a credential is required");
}

async function ofApiKey(base: BaseCtx, key: string, accepts: readonly CredentialKind[]): Promise<Actor> {
  if (!accepts.includes("api_key") || !isApiKey(key)) throw notValid();
  const hash = await sha256(key);
  return unwrap(await base.principals.principal(keyPrincipal(hash)).verify(hash));
}

async function ofSession(base: BaseCtx, sessions: string[], auth: AuthRequest) {
  const { request, settings, accepts, answer } = auth;
  const [token = "", ...others] = sessions;
  const userId = userOfSession(token);
  // Two session cookies: one was planted, and nobody can say which.
  if (!accepts.includes("session") || others.length > 0 || !userId) {
    clearSessionCookies(answer, request.url);
    throw notValid();
  }
  const verified = await base.principals.principal(userPrincipal(userId)).verify(await sha256(token));
  if (!verified.ok) clearSessionCookies(answer, request.url);
  const actor = unwrap(verified);
  auth.identified?.(actor);
  await demandNoForgery(request, token, settings.origins);
  return actor;
}

const notValid = () => new Fault("unauthenticated", "the credential is not valid");

function bearerOf(request: Request): string | null {
  const header = request.headers.get("authorization");
  if (header === null) return null;
  const [scheme, token] = header.split(/\s+/, 2);
  return scheme?.toLowerCase() === "bearer" && token ? token : "";
}
