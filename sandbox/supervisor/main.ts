import { realpathSync } from "node:fs";
import { Socket } from "node:net";
import { PROXY_ENVIRONMENT, relayProxy } from "./relay.ts";
import { serve } from "./server.ts";

/**
 * `supervisor.mjs FD ROOT [PROXY]`: serves the workspace at ROOT over the connected socket FD until that closes. PROXY is
 * the socket of the agent's proxy; without it there is no way out.
 */
const [descriptor = "3", root = "/workspace", proxy] = process.argv.slice(2);

process.title = "supervisor";
process.umask(0o022);
if (proxy !== undefined) await relayProxy(proxy);
serve(new Socket({ fd: Number(descriptor), readable: true, writable: true }), {
  root: realpathSync(root),
  environment: proxy === undefined ? {} : PROXY_ENVIRONMENT,
  onClose: () => process.exit(0),
});
