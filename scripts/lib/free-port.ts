import { createServer } from "node:net";

const free = (port: number, host: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : undefined));
    });
  });

/** The preferred port when nobody listens there, else any free one. */
export async function freePort(preferred = 0, host = "127.0.0.1"): Promise<number> {
  const port = (await free(preferred, host)) ?? (await free(0, host));
  if (port === undefined) throw new Error(`no free port on ${host}`);
  return port;
}
