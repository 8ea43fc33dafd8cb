import { env } from "cloudflare:workers";
import { agentUrl } from "#domain/host/values";
import { Fault } from "#kernel/fault";
import { CONTAINER_HOST } from "#protocol/container";

const SANDBOX = /^\/v1\/sandboxes\/([^/?]+)/;

/**
 * Where a call to an agent goes: over the network to a host, or to the object that holds the container of the sandbox
 * in the path. `host_lost` for an address that leads nowhere.
 */
export function transportTo(address: string, path: string): (init: RequestInit) => Promise<Response> {
  if (address === CONTAINER_HOST) {
    const sandboxId = SANDBOX.exec(path)?.[1] ?? "";
    // Plainly, because that is how the object passes it on into the container.
    return (init) => env.CONTAINERS.getByName(sandboxId).fetch(`http://container${path}`, init);
  }
  const url = agentUrl(address);
  if (!url) throw new Fault("host_lost", "the host has no usable address");
  return (init) => fetch(`${url.origin}${path}`, init);
}
