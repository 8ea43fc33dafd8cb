import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { connect, type LookupFunction, type Socket } from "node:net";
import { SECOND } from "#kernel/time";
import { splice } from "#sandbox/splice";
import { Refusal } from "./refusal.ts";

const CONNECT_MS = 5 * SECOND;
/** A server that was told to listen on "localhost" is at either. */
const LOOPBACK = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];
const onLoopback: LookupFunction = (_host, _options, callback) => callback(null, LOOPBACK);

/** Passes bytes between a request and a port of the sandbox's loopback, both ways. */
export async function passToPort(stream: ServerHttp2Stream, name: string): Promise<void> {
  const port = Number(name);
  if (!/^[1-9][0-9]{0,4}$/.test(name) || port > 65_535) throw new Refusal("invalid", "a port is 1 to 65535");
  const socket = await dial(port, stream);
  if (stream.destroyed) return void socket.destroy();
  stream.respond({ ":status": 200, "content-type": "application/octet-stream" });
  splice(stream, socket);
}

async function dial(port: number, stream: ServerHttp2Stream): Promise<Socket> {
  const socket = connect({ host: "localhost", port, lookup: onLoopback, autoSelectFamily: true, allowHalfOpen: true });
  const left = () => socket.destroy();
  stream.once("close", left);
  socket.on("error", () => {});
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(CONNECT_MS) });
    return socket;
  } catch {
    socket.destroy();
    throw new Refusal("port_closed", `nothing listens on port ${port}`);
  } finally {
    stream.off("close", left);
  }
}
