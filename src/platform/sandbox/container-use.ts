import type { ContainerUse } from "#domain/host/place-sandbox";

const USES: Record<string, ContainerUse> = { host: "never", auto: "fallback", container: "always" };

/** When this deployment runs sandboxes in containers, by its setting SANDBOX_BACKEND. */
export const containerUse = (env: { SANDBOX_BACKEND?: string }): ContainerUse =>
  USES[env.SANDBOX_BACKEND ?? ""] ?? "never";
