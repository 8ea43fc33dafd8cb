import { type Ctx, demand } from "#domain/context";
import type { SandboxLink } from "#domain/sandbox/ports";
import { isReadOnlySandbox } from "#domain/workspace/repo";
import { Fault } from "#kernel/fault";
import { isId } from "#kernel/id";

/**
 * The files of a sandbox, to read or to change them. One that does not run is refused by the first use, with
 * `sandbox_not_running`: files never start a sandbox, and using them does not count as activity (platform R258, A32).
 * Throws `workspace_read_only` where they are a workspace's that may not be changed.
 */
export async function openSandboxFiles(ctx: Ctx, sandboxId: string, to: "read" | "write"): Promise<SandboxLink> {
  demand(ctx.actor, `sandbox:${to}`);
  if (!isId("sandbox", sandboxId)) throw new Fault("sandbox_not_found", "sandbox not found");
  const { teamId } = ctx.actor;
  if (to === "write" && (await isReadOnlySandbox(ctx.db, teamId, sandboxId))) {
    throw new Fault("workspace_read_only", "the workspace of the sandbox is read-only");
  }
  return ctx.sandboxes.link(teamId, sandboxId, { wake: false, quiet: true });
}
