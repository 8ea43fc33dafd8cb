import { fileURLToPath } from "node:url";
import type { Socket } from "miniflare";

type Options = { address: string; forwarded: boolean };
type Binding = { type: string; dev?: { options?: Options } };
type ServicesOptions = { options: { config: { name: string; env?: Record<string, Binding> } } };

const PLUGIN = "front-door";

/**
 * A listener that leads straight to the Worker. Miniflare's own one keeps a caller's CF-Connecting-IP and heeds headers
 * by which its tools steer it, so anybody could claim any address; this one tells the Worker the peer of the socket.
 * With `forwarded` it takes the scheme of a request's URL from X-Forwarded-Proto, as a reverse proxy writes it.
 */
export const frontDoor = (options: Options) => ({
  name: "FRONT_DOOR",
  type: PLUGIN,
  plugin: { package: fileURLToPath(import.meta.url), name: PLUGIN },
  options,
});

/**
 * What Miniflare loads this file for.
 * @public
 */
export const plugins = {
  [PLUGIN]: {
    getBindings: async () => [],
    getNodeBindings: async () => ({}),
    getServices: async ({ options: { config } }: ServicesOptions) => ({
      services: [],
      extensions: [],
      sockets: Object.values(config.env ?? {}).flatMap(({ type, dev }) =>
        type === `unsafe:${PLUGIN}` && dev?.options ? [socketOf(config.name, dev.options)] : [],
      ),
    }),
  },
};

const socketOf = (worker: string, { address, forwarded }: Options): Socket => ({
  name: PLUGIN,
  address,
  service: { name: `core:user:${worker}` },
  http: forwarded ? { forwardedProtoHeader: "X-Forwarded-Proto" } : {},
});
