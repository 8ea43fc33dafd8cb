const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
const API_POLICY = "default-src 'none'; frame-ancestors 'none'";

/** A copy of the answer with the headers that every answer carries; one that upgrades to a socket stays as it is. */
export function withStandardHeaders(response: Response, request: Request, requestId: string): Response {
  if (response.webSocket) return response;
  const answer = new Response(response.body, response);
  const isPage = answer.headers.get("content-type")?.startsWith("text/html") ?? false;
  answer.headers.set("x-request-id", requestId);
  answer.headers.set("x-content-type-options", "nosniff");
  answer.headers.set("x-frame-options", "DENY");
  answer.headers.set("referrer-policy", "no-referrer");
  answer.headers.set("cross-origin-resource-policy", "same-origin");
  answer.headers.set("content-security-policy", isPage ? PAGE_POLICY : API_POLICY);
  if (!answer.headers.has("cache-control")) answer.headers.set("cache-control", "no-store");
  if (request.url.startsWith("https:")) {
    answer.headers.set("strict-transport-security", "max-age=31536000; includeSubDomains");
  }
  return answer;
}
