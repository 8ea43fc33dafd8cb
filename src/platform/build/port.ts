import type { BuildHandle, BuildPort } from "#domain/build/ports";

/** Builds as objects of the `BUILD` binding; an object's name is its build's id. */
export function buildPort(env: Pick<Env, "BUILD">): BuildPort {
  return {
    build(id) {
      // A stub is broken for good once its object crashed, so each call takes a fresh one.
      const rpc = () => env.BUILD.getByName(id) as unknown as Omit<BuildHandle, "openFeed">;
      return {
        begin: (order) => rpc().begin(order),
        get: () => rpc().get(),
        cancel: () => rpc().cancel(),
        nudge: () => rpc().nudge(),
        openFeed: (after) =>
          env.BUILD.getByName(id).fetch(`https://build/feed?after=${after}`, { headers: { Upgrade: "websocket" } }),
      };
    },
  };
}
