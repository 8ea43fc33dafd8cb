import type { Ctx } from "#domain/context";
import type { ProcessLink } from "#domain/process/ports";
import { runningSandbox } from "#domain/process/running-sandbox";

/** The processes of a sandbox that runs at this moment; throws `sandbox_not_found` or `sandbox_not_running`. */
export async function reachProcesses(
  ctx: Ctx,
  sandboxId: string,
  permission: "sandbox:read" | "sandbox:write",
): Promise<ProcessLink> {
  const { processes } = runningSandbox(ctx, sandboxId, permission);
  await processes.ready();
  return processes;
}
