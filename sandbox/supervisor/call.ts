import { constants, type ServerHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import { Refusal } from "./refusal.ts";

/** One request: `name` is the variable part of its path, empty when it has none. */
export type Call = { stream: ServerHttp2Stream; query: URLSearchParams; name: string };
export type Handler = (call: Call) => Promise<void>;
/** Handlers by method and path, in which one `*` may stand for a whole segment. */
export type Routes = Record<string, Handler>;

/** Finds the handler of a request; undefined when there is none. */
export function route(
  routes: Routes,
  method: string,
  pathname: string,
): { handler: Handler; name: string } | undefined {
  const exact = routes[`${method} ${pathname}`];
  if (exact) return { handler: exact, name: "" };
  const segments = pathname.split("/");
  for (const back of [1, 2]) {
    const index = segments.length - back;
    const handler = routes[`${method} ${segments.with(index, "*").join("/")}`];
    if (handler) return { handler, name: decodeURIComponent(segments[index] ?? "") };
  }
  return undefined;
}

export function json(stream: ServerHttp2Stream, value: unknown): void {
  if (stream.destroyed) return;
  stream.respond({ ":status": 200, "content-type": "application/json" });
  stream.end(JSON.stringify(value));
}

export function nothing(stream: ServerHttp2Stream): void {
  if (stream.destroyed) return;
  stream.respond({ ":status": 204 }, { endStream: true });
}

/** A request's bytes for a reader that may stop early: the stream stays, to carry the answer. */
export const keepingOpen = (stream: Readable): AsyncIterable<Buffer> => stream.iterator({ destroyOnReturn: false });

/** A request's bytes. A sender that left in the middle is an error: its stream ends as if it were complete. */
export async function* wholeBody(stream: ServerHttp2Stream): AsyncGenerator<Buffer> {
  yield* keepingOpen(stream);
  if (stream.aborted || stream.rstCode !== constants.NGHTTP2_NO_ERROR) {
    throw new Refusal("invalid", "the upload was cut off");
  }
}

/** Aborts when the caller leaves or has its whole answer. */
export function untilClosed(stream: ServerHttp2Stream): AbortSignal {
  const gone = new AbortController();
  stream.once("close", () => gone.abort());
  return gone.signal;
}
