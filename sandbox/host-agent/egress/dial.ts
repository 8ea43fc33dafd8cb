import { once } from "node:events";
import { connect, type LookupFunction, type Socket } from "node:net";
import { MINUTE, SECOND } from "#kernel/time";
import type { Checked } from "./resolve.ts";
import { EgressRefusal, type Target } from "./rules.ts";

const CONNECT_MS = 15 * SECOND;
/** Silence in both directions after which a connection ends. */
const IDLE_MS = 5 * MINUTE;

/** Connects to one of the addresses, each in turn; `gone` gives up. */
export async function dial({ host, port }: Target, addresses: readonly Checked[], gone: AbortSignal): Promise<Socket> {
  const socket = connect({
    host: host.replace(/^\[(.*)\]$/, "$1"),
    port,
    lookup: pinned(addresses),
    autoSelectFamily: true,
    allowHalfOpen: true,
  });
  socket.on("error", () => {});
  try {
    await once(socket, "connect", { signal: AbortSignal.any([gone, AbortSignal.timeout(CONNECT_MS)]) });
  } catch {
    socket.destroy();
    throw new EgressRefusal(502, `${host} does not answer on port ${port}`);
  }
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  return socket;
}

/** Answers every lookup with what was checked, so that a name cannot mean something else by now. */
const pinned =
  (addresses: readonly Checked[]): LookupFunction =>
  (_host, options, callback) => {
    const [first] = addresses;
    if (options.all) callback(null, [...addresses]);
    else if (first) callback(null, first.address, first.family);
    else callback(new Error("no address"), "", 4);
  };
