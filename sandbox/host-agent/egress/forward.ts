import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import { EgressRefusal } from "./rules.ts";

/** Headers that are about one connection alone. */
const HOP_BY_HOP = new Set([
  ...["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"],
  ...["transfer-encoding", "upgrade"],
]);

/** Passes one plain request on over a fresh connection and its answer back, both streamed. */
export async function forward(url: URL, socket: Socket, request: IncomingMessage, response: ServerResponse) {
  const headers = endToEnd(request.rawHeaders, ["host"]);
  const chunked = request.headers["transfer-encoding"] !== undefined;
  const onward = httpRequest({
    createConnection: () => socket,
    method: request.method,
    path: `${url.pathname}${url.search}`,
    headers: [
      "host",
      url.host,
      "connection",
      "close",
      ...headers,
      ...(chunked ? ["transfer-encoding", "chunked"] : []),
    ],
    setHost: false,
  });
  response.once("close", () => {
    if (!response.writableFinished) onward.destroy();
  });
  // The answer may come before the whole request was sent, and tells more than what became of the rest.
  pipeline(request, onward).catch(() => onward.destroy());
  const answer = await answerOf(onward, url.host);
  response.writeHead(answer.statusCode ?? 502, endToEnd(answer.rawHeaders, []));
  response.flushHeaders();
  await pipeline(answer, response).catch(() => response.destroy());
  onward.destroy();
}

function answerOf(onward: ReturnType<typeof httpRequest>, host: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    onward.once("response", resolve);
    onward.once("error", () => reject(new EgressRefusal(502, `${host} broke the connection off`)));
  });
}

/** Raw headers without those of one connection, those that `Connection` names, and some others. */
function endToEnd(raw: readonly string[], others: readonly string[]): string[] {
  const pairs = raw.flatMap((name, index) =>
    index % 2 === 0 ? [[name.toLowerCase(), raw[index + 1] ?? ""] as const] : [],
  );
  const named = pairs
    .filter(([name]) => name === "connection")
    .flatMap(([, value]) => value.toLowerCase().split(/\s*,\s*/));
  const dropped = new Set([...HOP_BY_HOP, ...named, ...others]);
  return pairs.filter(([name]) => !dropped.has(name)).flat();
}
