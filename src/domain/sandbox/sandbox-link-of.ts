import { type Ctx, demand, type Permission } from "#domain/context";
import type { SandboxLink } from "#domain/sandbox/ports";
import { sandboxIdOf } from "#domain/sandbox/sandbox-id-of";

/**
 * The inside of a sandbox, named by its id or its workspace's id. For a sandbox's own id this asks nobody: the
 * sandbox's object checks the team when the link is first used, and refuses another team's with `sandbox_not_found`.
 */
export async function sandboxLinkOf(
  ctx: Ctx,
  id: string,
  permission: Extract<Permission, `sandbox:${string}`> = "sandbox:write",
): Promise<SandboxLink> {
  demand(ctx.actor, permission);
  return ctx.sandboxes.link(ctx.actor.teamId, await sandboxIdOf(ctx, id));
}
