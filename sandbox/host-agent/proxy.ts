import type { IncomingMessage, ServerResponse } from "node:http";
import type { IncomingHttpHeaders } from "node:http2";
import { finished, pipeline } from "node:stream/promises";
import { LIMIT_HEADER, STREAM_TYPE } from "#protocol/supervisor-values";
import { Failure } from "./failure.ts";
import type { RunningSandbox } from "./sandbox.ts";

const BODILESS = new Set(["GET", "HEAD", "DELETE"]);
const METHODS = new Set(["GET", "PUT", "POST", "DELETE"]);
const MEDIA_TYPES = new Set(["application/json", "application/octet-stream", STREAM_TYPE]);
/** How long a caller may go on sending what nobody reads any more. */
const LATE_BODY_MS = 10_000;
const FILE_STAT = /^[\x21-\x7e]{1,16384}$/;

/**
 * Passes one request to the supervisor and its answer back, both streamed. A caller that leaves resets the stream,
 * which kills its command. Of the answer's headers only what the protocol names is kept, and never a length: bytes
 * beyond it would be read as the next answer on the caller's connection. A command's answer begins when it has ended, so
 * its headers can say which limit it ran into.
 */
export async function proxy(
  sandbox: RunningSandbox,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const method = request.method ?? "";
  if (!METHODS.has(method)) throw new Failure("invalid", "no such operation");
  const bodiless = BODILESS.has(method);
  const limitReached = method === "POST" && path === "/v1/exec" ? sandbox.watchLimits() : () => undefined;
  const stream = open();
  stream.on("error", () => {});
  response.once("close", () => {
    if (!response.writableFinished) stream.destroy(new Error("the caller left"));
  });
  if (!bodiless) request.pipe(stream);
  const headers = await responseOf(stream);
  if (response.destroyed) return;
  const limit = limitReached();
  response.writeHead(statusOf(headers), {
    ...kept(headers),
    ...(limit && { [LIMIT_HEADER]: limit }),
    ...(!request.complete && { connection: "close" }),
  });
  try {
    await pipeline(stream, response, { end: false });
    await untilSent(request);
    response.end();
  } catch {
    response.destroy();
  }

  function open() {
    try {
      return sandbox.connection.open({ ":method": method, ":path": path }, { endStream: bodiless });
    } catch {
      throw new Failure("sandbox_lost", "the sandbox ended");
    }
  }
}

/**
 * Waits for the rest of a request that was answered early, and drops it: a caller whose connection is closed while it
 * still sends may never see the answer.
 */
async function untilSent(request: IncomingMessage): Promise<void> {
  if (request.complete) return;
  request.unpipe();
  request.resume();
  await finished(request, { signal: AbortSignal.timeout(LATE_BODY_MS), cleanup: true }).catch(() => {});
}

/** The answer's headers; a stream that ends without any means that the supervisor is gone. */
function responseOf(stream: ReturnType<RunningSandbox["connection"]["open"]>): Promise<IncomingHttpHeaders> {
  return new Promise((resolve, reject) => {
    stream.once("response", resolve);
    stream.once("close", () => reject(new Failure("sandbox_lost", "the sandbox ended while it worked on this")));
  });
}

function statusOf(headers: IncomingHttpHeaders): number {
  const status = Number(headers[":status"]);
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new Failure("sandbox_lost", "the sandbox answered nonsense");
  }
  return status;
}

function kept(headers: IncomingHttpHeaders): Record<string, string> {
  const type = headers["content-type"] ?? "";
  const stat = headers["x-file-stat"];
  return {
    "content-type": MEDIA_TYPES.has(type) ? type : "application/octet-stream",
    ...(typeof stat === "string" && FILE_STAT.test(stat) && { "x-file-stat": stat }),
  };
}
