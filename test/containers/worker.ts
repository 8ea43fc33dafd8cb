import product from "../../src/worker.ts";

export * from "../../src/worker.ts";

const MACHINE = /^\/v1\/sandboxes\/([^/]+)/;

/** The product, and beside it the containers' own interface, which is inside a deployment otherwise. */
export default {
  ...product,
  fetch(request, env, ctx) {
    const id = MACHINE.exec(new URL(request.url).pathname)?.[1];
    if (id === undefined) return product.fetch(request, env, ctx);
    return env.CONTAINERS.getByName(id).fetch(request);
  },
} satisfies ExportedHandler<Env>;
