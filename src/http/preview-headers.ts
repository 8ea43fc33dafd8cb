import { isApiKey } from "#domain/principal/values";
import { cookiesNamed } from "#http/cookies";
import { CSRF_COOKIE, SESSION_COOKIE } from "#http/credentials";
import { isEndToEnd, PREVIEW_HEADERS } from "#protocol/preview";

/** Holds a link's secret, for the host name of one port alone. */
export const PREVIEW_COOKIE = "longshore_preview";
const OUR_COOKIES: readonly string[] = [PREVIEW_COOKIE, SESSION_COOKIE, CSRF_COOKIE];

/** Headers that the runtime writes itself when it opens a WebSocket. */
const OF_THE_HANDSHAKE = ["sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions"];
/** What is put back by the host, because the way there would change it; and ours. */
const NOT_PASSED = ["host", "authorization", "accept-encoding", "cookie", "x-api-key", "content-length"];

/** Headers of a request for its host: without any credential of ours, and with what the way there would lose. */
export function headersForPort(request: Request, address: string | undefined): Headers {
  const headers = new Headers();
  for (const [name, value] of request.headers) {
    if (isEndToEnd(name) && ![...NOT_PASSED, ...OF_THE_HANDSHAKE].includes(name)) headers.append(name, value);
  }
  const { host, protocol } = new URL(request.url);
  const authorization = request.headers.get("authorization");
  const isOurs = authorization !== null && isApiKey(authorization.replace(/^bearer\s+/i, ""));
  const told: Record<string, string | null | undefined> = {
    [PREVIEW_HEADERS.host]: host,
    [PREVIEW_HEADERS.proto]: protocol.replace(":", ""),
    [PREVIEW_HEADERS.client]: address,
    [PREVIEW_HEADERS.authorization]: isOurs ? null : authorization,
    [PREVIEW_HEADERS.encoding]: request.headers.get("accept-encoding"),
    cookie: foreignCookies(request.headers.get("cookie")),
    upgrade: request.headers.get("upgrade"),
  };
  for (const [name, value] of Object.entries(told)) if (value) headers.set(name, value);
  return headers;
}

/** The answer for the caller. Its cookies are this host name's alone, and none of them is one of ours. */
export function answerOfPort(response: Response): Response {
  const headers = new Headers(response.headers);
  headers.delete(PREVIEW_HEADERS.answer);
  headers.delete("set-cookie");
  for (const cookie of response.headers.getSetCookie()) {
    const [pair = "", ...attributes] = cookie.split(";");
    if (OUR_COOKIES.includes(pair.split("=")[0]?.trim() ?? "")) continue;
    const kept = attributes.filter((attribute) => !/^\s*domain\s*=/i.test(attribute));
    headers.append("set-cookie", [pair, ...kept].join(";"));
  }
  const { status, statusText, webSocket } = response;
  return new Response(webSocket ? null : response.body, { status, statusText, headers, webSocket });
}

/** What a browser sent for our cookie; another preview may have planted one for the whole domain. */
export const previewCookies = (request: Request): string[] => cookiesNamed(request, PREVIEW_COOKIE);

function foreignCookies(header: string | null): string | null {
  const pairs = (header ?? "").split(";").map((pair) => pair.trim());
  return pairs.filter((pair) => !OUR_COOKIES.includes(pair.split("=")[0] ?? "")).join("; ") || null;
}
