import type { Placement } from "#domain/host/place-sandbox";
import type { SandboxBackend, SandboxPort } from "#domain/sandbox/ports";
import { containerUse } from "#platform/sandbox/container-use";
import { HostBackend } from "#platform/sandbox/host-backend";
import { HostLink } from "#platform/sandbox/link";
import { LinkCalls } from "#platform/sandbox/link-calls";
import { RouteCache } from "#platform/sandbox/route-cache";

const routes = new RouteCache();

/** Sandboxes as Durable Objects, and links into them. Routes are shared by all links of an isolate. */
export const makeSandboxPort = (env: Pick<Env, "SANDBOX" | "SANDBOX_BACKEND">): SandboxPort => ({
  containers: containerUse(env),
  sandbox: (id) => env.SANDBOX.getByName(id),
  link: (teamId, sandboxId, options = {}) => {
    const target = { teamId, sandboxId, handle: env.SANDBOX.getByName(sandboxId), routes };
    return new HostLink(new LinkCalls(target, options));
  },
});

/** The backend that runs sandboxes placed there; every placement is a host today. */
export const sandboxBackend = (env: Pick<Env, "SIGNING_KEY">, placement: Placement): SandboxBackend =>
  new HostBackend(env, placement);
