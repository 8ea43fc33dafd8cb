import { type Ctx, demand, type Permission } from "#domain/context";
import type { SandboxLink } from "#domain/sandbox/ports";
import { Fault } from "#kernel/fault";
import { isId } from "#kernel/id";

/**
 * The inside of a sandbox that must run already: using the link throws `sandbox_not_running` rather than start or resume
 * one. The sandbox's object checks the team; another team's is `sandbox_not_found` like one that never was (T1).
 */
export function runningSandbox(
  ctx: Ctx,
  sandboxId: string,
  permission: Extract<Permission, `sandbox:${string}`> = "sandbox:write",
): SandboxLink {
  demand(ctx.actor, permission);
  if (!isId("sandbox", sandboxId)) throw new Fault("sandbox_not_found", "sandbox not found");
  return ctx.sandboxes.link(ctx.actor.teamId, sandboxId, { wake: false });
}
