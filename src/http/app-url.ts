import { isFromLoopback } from "#http/loopback";

/**
 * Origin that letters may link to when no `APP_URL` is set: the request's own, if it is this machine's or one of the
 * configured origins; else none. A server that answers to every Host header would otherwise put a stranger's host into
 * the letter of somebody whose password the stranger asks to reset.
 */
export function ownOrigin(request: Request, origins: readonly string[]): string {
  const { origin } = new URL(request.url);
  return origins.includes(origin) || isFromLoopback(request) ? origin : "";
}
