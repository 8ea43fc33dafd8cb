import { once } from "node:events";
import { connect, createServer } from "node:net";
import { splice } from "#sandbox/splice";

/** Where programs of the sandbox find the proxy, which is the one way out. */
const PORT = 3128;
/** More than the agent serves at once, so that it can say that it is busy. */
const MAX_CONNECTIONS = 64;

const PROXY = `http://127.0.0.1:${PORT}`;
const DIRECT = "localhost,127.0.0.1,::1";

/** What tells programs of the proxy. Node heeds the usual names only when it is told to. */
export const PROXY_ENVIRONMENT: Readonly<Record<string, string>> = {
  ...{ HTTP_PROXY: PROXY, HTTPS_PROXY: PROXY, ALL_PROXY: PROXY, NO_PROXY: DIRECT },
  ...{ http_proxy: PROXY, https_proxy: PROXY, all_proxy: PROXY, no_proxy: DIRECT },
  NODE_USE_ENV_PROXY: "1",
};

/** Leads a port of the sandbox's own loopback to the agent's socket at `path`; answers once it listens. */
export async function relayProxy(path: string): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (program) => {
    splice(program, connect({ path, allowHalfOpen: true }));
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(PORT, "127.0.0.1");
  await once(server, "listening");
}
