import { type Ctx, demand } from "#domain/context";
import type { SandboxLink } from "#domain/sandbox/ports";
import { sandboxLinkOf } from "#domain/sandbox/sandbox-link-of";
import type { Workspace } from "#domain/workspace/repo";
import { Fault } from "#kernel/fault";

/** The files of a workspace, to read or to change them; the latter throws `workspace_read_only` where it is one. */
export async function openFiles(ctx: Ctx, workspace: Workspace, to: "read" | "write"): Promise<SandboxLink> {
  demand(ctx.actor, `sandbox:${to}`);
  if (to === "write" && workspace.readOnly) throw new Fault("workspace_read_only", "the workspace is read-only");
  return sandboxLinkOf(ctx, workspace.sandboxId, `sandbox:${to}`);
}
