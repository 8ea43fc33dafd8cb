import type { Actor } from "#domain/actor";
import { verifyHostToken } from "#domain/host/verify-host-token";
import { ANONYMOUS_PRINCIPAL, ANONYMOUS_SECRET, parseApiKey } from "#domain/principal/api-key";
import { isFromLoopback } from "#http/loopback";
import type { AuthSettings, BaseCtx } from "#http/surface";
import { sha256 } from "#kernel/digest";
import { Fault, unwrap } from "#kernel/fault";

/**
 * Turns the credential of a request into its actor, in one hop to the credential's object. A credential that is present
 * and wrong is refused even where anonymous callers are let in.
 */
export async function authenticate(base: BaseCtx, request: Request, settings: AuthSettings): Promise<Actor> {
  const presented = request.headers.get("x-api-key") ?? bearerOf(request);
  if (presented !== null) {
    const key = parseApiKey(presented);
    if (!key) throw new Fault("unauthenticated", "the credential is not valid");
    return unwrap(await base.principals.principal(key.id).verify(await sha256(presented)));
  }
  const hostToken = request.headers.get("x-host-token");
  if (hostToken !== null) return unwrap(await verifyHostToken(base, hostToken));
  if (settings.anonymous && isFromLoopback(request)) {
    return unwrap(await base.principals.principal(ANONYMOUS_PRINCIPAL).verify(await sha256(ANONYMOUS_SECRET)));
  }
  throw new Fault("unauthenticated", "a credential is required");
}

function bearerOf(request: Request): string | null {
  const header = request.headers.get("authorization");
  if (header === null) return null;
  const [scheme, token] = header.split(/\s+/, 2);
  return scheme?.toLowerCase() === "bearer" && token ? token : "";
}
