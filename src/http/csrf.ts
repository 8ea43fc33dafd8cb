import { csrfTokenOf } from "#domain/principal/values";
import { cookiesNamed } from "#http/cookies";
import { CSRF_COOKIE, CSRF_HEADER } from "#http/credentials";
import { sameText } from "#kernel/digest";
import { Fault } from "#kernel/fault";

const SAFE_METHODS = ["GET", "HEAD", "OPTIONS"];

/**
 * Refuses a request that another site may have made a browser send (T8): one that changes something needs the header
 * `X-CSRF-Token`, equal to the cookie and made for this very session, and must not come from another origin. Throws
 * `csrf_failed` (platform R6 to R10).
 */
export async function demandNoForgery(
  request: Request,
  sessionToken: string,
  origins: readonly string[],
): Promise<void> {
  if (SAFE_METHODS.includes(request.method)) return;
  demandOrigin(request, origins);
  const [header, cookies] = [request.headers.get(CSRF_HEADER) ?? "", cookiesNamed(request, CSRF_COOKIE)];
  const wanted = await csrfTokenOf(sessionToken);
  if (cookies.length !== 1 || !sameText(header, cookies[0] ?? "") || !sameText(header, wanted)) {
    throw new Fault("csrf_failed", "X-CSRF-Token must equal the wrenn_csrf cookie of this session");
  }
}

/** Refuses a request that a page of another origin sent; programs that are no browser send no origin. */
export function demandOrigin(request: Request, origins: readonly string[]): void {
  const origin = request.headers.get("origin");
  const site = request.headers.get("sec-fetch-site");
  const foreign = origin === null ? site === "cross-site" : !allowed(request, origin, origins);
  if (foreign) throw new Fault("csrf_failed", "the request comes from a page of another origin");
}

const allowed = (request: Request, origin: string, origins: readonly string[]) =>
  origin === new URL(request.url).origin || origins.includes(origin);
