import { newId } from "#kernel/id";

const SANE = /^[A-Za-z0-9._:-]{1,100}$/;

/** The caller's `X-Request-ID` when it is short and plain, otherwise a new one. */
export function requestIdOf(request: Request, now: number): string {
  const given = request.headers.get("x-request-id");
  return given && SANE.test(given) ? given : newId("operation", now);
}
